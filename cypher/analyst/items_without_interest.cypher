// Title: Which items is nobody interested in?
// Purpose: described, visible items that no user has a learned interest in, the least used first.
// Parameters: $k integer
// Columns: item_id, title, brand, event_count, updated_at
// Example: :param k => 50
MATCH (item:Item {known: true})
WHERE NOT coalesce(item.hidden, false) AND NOT EXISTS { (item)<-[:INTERESTED_IN]-(:User) }
WITH item
ORDER BY coalesce(item.event_count, 0), item.item_id
LIMIT $k
OPTIONAL MATCH (item)-[:MADE_BY]->(brand:Brand)
RETURN
  item.item_id AS item_id,
  item.title AS title,
  brand.name AS brand,
  coalesce(item.event_count, 0) AS event_count,
  item.updated_at AS updated_at
ORDER BY event_count, item_id
