// Purpose: the newest unflagged events of users, newest first: the history in the graph.
// Parameters: $user_ids list of string, $num_events integer
// Columns: user_id, events list of [occurred_at_ms, event_id, item_id, relationship]
UNWIND $user_ids AS user_id
MATCH (user:User {user_id: user_id})
CALL (user) {
  MATCH (user)-[event]->(item:Item)
  WHERE event.event_id IS NOT NULL AND event.flagged IS NULL
  WITH event, item
  ORDER BY event.occurred_at DESC, event.event_id DESC
  LIMIT $num_events
  RETURN collect([event.occurred_at.epochMillis, event.event_id, item.item_id, type(event)])
    AS events
}
RETURN user.user_id AS user_id, events
