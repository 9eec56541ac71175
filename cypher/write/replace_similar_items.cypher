// Purpose: replace the SIMILAR_TO relationships of items by those of the model in service.
// Parameters: $items list of {item_id, described_as, similar list of {item_id, weight, evidence}},
//   $model_version string
// Columns: replaced
MATCH (:Model {model_version: $model_version, in_service: true})
UNWIND $items AS row
MATCH (item:Item {item_id: row.item_id})
SET item.described_as = row.described_as
WITH item, row
CALL (item) {
  MATCH (item)-[old:SIMILAR_TO]->()
  DELETE old
}
CALL (item, row) {
  UNWIND row.similar AS similar
  MATCH (target:Item {item_id: similar.item_id})
  CREATE (item)-[edge:SIMILAR_TO]->(target)
  SET edge.weight = similar.weight, edge.evidence = similar.evidence,
    edge.model_version = $model_version
}
RETURN count(item) AS replaced
