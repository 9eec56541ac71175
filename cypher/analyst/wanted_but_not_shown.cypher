// Title: Which items do users want that cannot be recommended?
// Purpose: hidden items, stubs (known from events alone) and deleted items with the most events.
// Parameters: $k integer
// Columns: item_id, title, reason, event_count, updated_at
// Example: :param k => 50
MATCH (item:Item)
WHERE (NOT coalesce(item.known, false) OR coalesce(item.hidden, false)) AND item.event_count > 0
RETURN
  item.item_id AS item_id,
  item.title AS title,
  CASE
    WHEN coalesce(item.deleted, false) THEN 'deleted'
    WHEN NOT coalesce(item.known, false) THEN 'stub'
    ELSE 'hidden'
  END AS reason,
  item.event_count AS event_count,
  item.updated_at AS updated_at
ORDER BY event_count DESC, item_id
LIMIT $k
