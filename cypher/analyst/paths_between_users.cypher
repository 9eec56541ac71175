// Title: What connects two users?
// Purpose: paths between the items two users dealt with lately: the same item, or one that leads
//   to the other by SIMILAR_TO.
// Parameters: $user_id string, $other_user_id string, $num_events integer, $k integer
// Columns: item_id, title, relationship, weight, other_item_id, other_title
// Example: :param {user_id: 'household-1631', other_user_id: 'household-88', num_events: 100, k: 50}
MATCH (user:User {user_id: $user_id})
MATCH (other:User {user_id: $other_user_id})
CALL (user) {
  MATCH (user)-[event]->(item:Item)
  WHERE event.event_id IS NOT NULL AND event.flagged IS NULL
  WITH event, item
  ORDER BY event.occurred_at DESC
  LIMIT $num_events
  RETURN collect(DISTINCT item) AS items
}
CALL (other) {
  MATCH (other)-[event]->(item:Item)
  WHERE event.event_id IS NOT NULL AND event.flagged IS NULL
  WITH event, item
  ORDER BY event.occurred_at DESC
  LIMIT $num_events
  RETURN collect(DISTINCT item) AS other_items
}
CALL (items, other_items) {
  UNWIND items AS item
  WITH item, other_items
  WHERE item IN other_items
  RETURN item, 'the same item' AS relationship, 1.0 AS weight, item AS other_item
  UNION ALL
  WITH items, other_items
  UNWIND items AS item
  MATCH (item)-[edge:SIMILAR_TO]-(other_item:Item)
  WHERE other_item IN other_items
  RETURN item, type(edge) AS relationship, edge.weight AS weight, other_item
}
RETURN
  item.item_id AS item_id,
  item.title AS title,
  relationship,
  weight,
  other_item.item_id AS other_item_id,
  other_item.title AS other_title
ORDER BY relationship = 'the same item' DESC, weight DESC, item_id, other_item_id
LIMIT $k
