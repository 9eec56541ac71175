// Purpose: the items nearest to an embedding under one model version.
// Parameters: $embedding list of float, $k integer, $model_version string
// Columns: item_id, similarity
CALL db.index.vector.queryNodes('item_embedding', $k, $embedding)
YIELD node AS item, score AS similarity
WHERE item.model_version = $model_version
RETURN item.item_id AS item_id, similarity
ORDER BY similarity DESC, item_id
