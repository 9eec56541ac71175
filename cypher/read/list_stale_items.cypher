// Purpose: items whose facts are newer than their embedding, longest stale first.
// Parameters: $limit integer
// Columns: item_id
MATCH (item:Item)
WHERE item.stale_since IS NOT NULL
RETURN item.item_id AS item_id
ORDER BY item.stale_since
LIMIT $limit
