// Purpose: every unflagged event, grouped by user; order within a user is the reader's.
// Parameters: none
// Columns: user_id, events list of [occurred_at_ms, event_id, item_id, relationship]
MATCH (user:User)
CALL (user) {
  MATCH (user)-[event]->(item:Item)
  WHERE event.event_id IS NOT NULL AND event.flagged IS NULL
  RETURN collect([event.occurred_at.epochMillis, event.event_id, item.item_id, type(event)])
    AS events
}
RETURN user.user_id AS user_id, events
ORDER BY user_id
