// Purpose: take back the flags of users' events for some reasons.
// Parameters: $user_ids list of string, $relationships list of string, $reasons list of string
// Columns: event_id, user_id, item_id, relationship, occurred_at_ms, body_hash
UNWIND $user_ids AS user_id
MATCH (user:User {user_id: user_id})
// Locks the node, so that the next lines see what whoever wrote it has committed.
SET user.locked = true
REMOVE user.locked
WITH user
MATCH (user)-[event]->(item:Item)
WHERE event.flagged IN $reasons AND type(event) IN $relationships
SET event.history_of = user.user_id
REMOVE event.flagged
RETURN event.event_id AS event_id, user.user_id AS user_id, item.item_id AS item_id,
  type(event) AS relationship, event.occurred_at.epochMillis AS occurred_at_ms,
  event.body_hash AS body_hash
