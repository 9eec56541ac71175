// Title: What lies around a category?
// Purpose: the categories above and below a category (facts) and those related to it (learned).
// Parameters: $category string (its path), $k integer
// Columns: relation, category_id, path, weight, model_version
// Example: :param {category: 'Grocery > Yogurt', k: 50}
MATCH (category:Category {path: $category})
CALL (category) {
  MATCH (category)-[:CHILD_OF]->(near:Category)
  RETURN 'above' AS relation, near, null AS weight, null AS model_version
  UNION ALL
  MATCH (category)<-[:CHILD_OF]-(near:Category)
  RETURN 'below' AS relation, near, null AS weight, null AS model_version
  UNION ALL
  MATCH (category)-[edge:RELATED_TO]->(near:Category)
  RETURN 'related' AS relation, near, edge.weight AS weight, edge.model_version AS model_version
}
RETURN
  relation,
  near.category_id AS category_id,
  near.path AS path,
  weight,
  model_version
ORDER BY relation, weight DESC, path
LIMIT $k
