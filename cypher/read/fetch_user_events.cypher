// Purpose: the newest unflagged events of users, newest first: the history in the graph. Each event
//   type has an index in that order, so that nothing older is read.
// Parameters: $user_ids list of string, $num_events integer
// Columns: user_id, events list of [occurred_at_ms, event_id, item_id, relationship]
UNWIND $user_ids AS user_id
CALL (user_id) {
  CALL (user_id) {
    // each event type
    MATCH ()-[event:EVENT_RELATIONSHIP]->()
    WHERE event.history_of = user_id
      AND event.occurred_at IS NOT NULL
      AND event.event_id IS NOT NULL
    WITH event
    ORDER BY event.history_of DESC, event.occurred_at DESC, event.event_id DESC
    LIMIT $num_events
    RETURN event, event.occurred_at AS occurred_at, event.event_id AS event_id
    // end
  }
  WITH event, occurred_at, event_id
  ORDER BY occurred_at DESC, event_id DESC
  LIMIT $num_events
  RETURN collect([occurred_at.epochMillis, event_id, endNode(event).item_id, type(event)]) AS events
}
RETURN user_id, events
