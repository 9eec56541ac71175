// Purpose: write refreshed items with BELONGS_TO, unless something newer is there or the model is
//   no longer in service.
// Parameters: $items list of {item_id, read_revision, as_read boolean: whether the embedding is
//   surely of what was read then, embedding, text_embedding bytes, content_hash, categories list of
//   {category_id, weight}}, $model_version string
// Columns: item_id
MATCH (:Model {model_version: $model_version, in_service: true})
UNWIND $items AS row
MATCH (item:Item {item_id: row.item_id})
// Locks the node, so that the next lines see what whoever wrote it has committed.
SET item.locked = true
REMOVE item.locked
WITH item, row
WHERE item.refreshed_revision < row.read_revision
SET
  item.embedding = row.embedding,
  item.text_embedding = row.text_embedding,
  item.content_hash = row.content_hash,
  item.model_version = $model_version,
  item.refreshed_revision = row.read_revision,
  item.encoded_revision = CASE WHEN row.as_read AND item.facts_revision = row.read_revision
    THEN item.facts_revision - coalesce(item.event_count, 0) ELSE null END,
  item.encoded_at = datetime(),
  item.updated_at = datetime(),
  item.stale_since =
    CASE WHEN item.facts_revision > row.read_revision THEN item.stale_since ELSE null END
WITH item, row
CALL (item) {
  MATCH (item)-[old:BELONGS_TO]->()
  DELETE old
}
CALL (item, row) {
  UNWIND row.categories AS belonging
  MATCH (category:Category {category_id: belonging.category_id})
  CREATE (item)-[edge:BELONGS_TO]->(category)
  SET edge.weight = belonging.weight, edge.model_version = $model_version
}
RETURN item.item_id AS item_id
