// Purpose: which of these events are in the graph under any type, and with which body.
// Parameters: $event_ids list of string
// Columns: event_id, body_hash
UNWIND $event_ids AS event_id
CALL (event_id) {
  // each event type
  MATCH ()-[event:EVENT_RELATIONSHIP {event_id: event_id}]->()
  RETURN event.body_hash AS body_hash
  // end
}
RETURN event_id, body_hash
