// Purpose: the bounded neighbourhood of items that one step of the seed formula reads.
// Parameters: $item_ids list of string, $num_neighbors integer
// Columns: item_id, known, title, description, content_hash, text_embedding, popularity,
//   popularity_at_ms, embedding, categories list of [category_id, path], brand, described_as,
//   model_version, neighbors list of map
UNWIND $item_ids AS item_id
MATCH (item:Item {item_id: item_id})
CALL (item) {
  OPTIONAL MATCH (item)-[:IN_CATEGORY]->(category:Category)
  WITH category
  ORDER BY category.category_id
  RETURN [pair IN collect([category.category_id, category.path]) WHERE pair[0] IS NOT NULL]
    AS categories
}
CALL (item) {
  OPTIONAL MATCH (item)-[:MADE_BY]->(brand:Brand)
  RETURN head(collect(brand.name)) AS brand
}
CALL (item) {
  OPTIONAL MATCH (item)-[edge:SIMILAR_TO]->(neighbor:Item)
  WHERE neighbor.embedding IS NOT NULL
  WITH edge, neighbor
  ORDER BY edge.weight DESC, neighbor.item_id
  LIMIT $num_neighbors
  RETURN [n IN collect({
    item_id: neighbor.item_id,
    weight: edge.weight,
    evidence: edge.evidence,
    embedding: neighbor.embedding,
    text_embedding: neighbor.text_embedding
  }) WHERE n.item_id IS NOT NULL] AS neighbors
}
RETURN item.item_id AS item_id, coalesce(item.known, false) AS known, item.title AS title,
  item.description AS description, item.content_hash AS content_hash,
  item.text_embedding AS text_embedding, coalesce(item.popularity, 0.0) AS popularity,
  item.popularity_at.epochMillis AS popularity_at_ms,
  item.embedding AS embedding, categories, brand, item.described_as AS described_as,
  item.model_version AS model_version, neighbors
