// Purpose: mark items stale whose SIMILAR_TO were just chosen: their embeddings do not count them.
// Parameters: $item_ids list of string
// Columns: marked
UNWIND $item_ids AS item_id
MATCH (item:Item {item_id: item_id})
SET item.facts_revision = item.facts_revision + 1,
  item.stale_since = coalesce(item.stale_since, datetime())
RETURN count(item) AS marked
