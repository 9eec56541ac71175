// Purpose: every event of users as it was recorded, in order.
// Parameters: $user_ids list of string
// Columns: user_id, item_id, relationship, event_id, occurred_at_ms, recorded_at_ms, fields
UNWIND $user_ids AS user_id
MATCH (user:User {user_id: user_id})-[event]->(item:Item)
WHERE event.event_id IS NOT NULL
RETURN user_id, item.item_id AS item_id, type(event) AS relationship, event.event_id AS event_id,
  event.occurred_at.epochMillis AS occurred_at_ms, event.recorded_at.epochMillis AS recorded_at_ms,
  properties(event) AS fields
ORDER BY user_id, occurred_at_ms, event_id
