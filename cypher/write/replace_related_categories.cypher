// Purpose: replace the RELATED_TO relationships of categories by those of the model in service.
// Parameters: $categories list of {category_id, related list of {category_id, weight}},
//   $model_version string
// Columns: replaced
MATCH (:Model {model_version: $model_version, in_service: true})
UNWIND $categories AS row
MATCH (category:Category {category_id: row.category_id})
SET category.model_version = $model_version
WITH category, row
CALL (category) {
  MATCH (category)-[old:RELATED_TO]->()
  DELETE old
}
CALL (category, row) {
  UNWIND row.related AS related
  MATCH (target:Category {category_id: related.category_id})
  CREATE (category)-[edge:RELATED_TO]->(target)
  SET edge.weight = related.weight, edge.model_version = $model_version
}
RETURN count(category) AS replaced
