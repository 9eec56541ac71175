// Purpose: mark a page of items stale, in order of id, after a model was rolled out.
// Parameters: $after string, $limit integer
// Columns: last
MATCH (item:Item)
WHERE item.item_id > $after
WITH item
ORDER BY item.item_id
LIMIT $limit
SET item.facts_revision = item.facts_revision + 1,
  item.stale_since = coalesce(item.stale_since, datetime())
RETURN max(item.item_id) AS last
