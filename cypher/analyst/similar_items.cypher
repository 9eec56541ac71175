// Title: Which items are most like this one?
// Purpose: the items nearest to an item by the vector index, of the same model version only:
//   embeddings of two models cannot be compared. Fewer than k may remain.
// Parameters: $item_id string, $k integer
// Columns: item_id, title, similarity, similar_weight, model_version
// Example: :param {item_id: 'product-1029743', k: 20}
MATCH (item:Item {item_id: $item_id})
WHERE item.embedding IS NOT NULL
CALL db.index.vector.queryNodes('item_embedding', 2 * $k + 1, item.embedding)
YIELD node AS other, score
WHERE other <> item AND other.known AND other.model_version = item.model_version
OPTIONAL MATCH (item)-[edge:SIMILAR_TO]->(other)
RETURN
  other.item_id AS item_id,
  other.title AS title,
  score AS similarity,
  edge.weight AS similar_weight,
  other.model_version AS model_version
ORDER BY similarity DESC, item_id
LIMIT $k
