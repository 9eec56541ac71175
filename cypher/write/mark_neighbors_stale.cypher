// Purpose: mark the items that lean most on items whose embedding moved; bounded for each, as is
//   how many of those that lean on it are looked at.
// Parameters: $item_ids list of string, $limit integer, $considered integer
// Columns: marked
UNWIND $item_ids AS item_id
MATCH (item:Item {item_id: item_id})
CALL (item) {
  MATCH (neighbor:Item)-[edge:SIMILAR_TO]->(item)
  WITH neighbor, edge
  LIMIT $considered
  WITH neighbor, edge
  ORDER BY edge.weight DESC, neighbor.item_id
  LIMIT $limit
  RETURN neighbor
}
WITH DISTINCT neighbor
SET neighbor.facts_revision = neighbor.facts_revision + 1,
  neighbor.stale_since = coalesce(neighbor.stale_since, datetime())
RETURN count(neighbor) AS marked
