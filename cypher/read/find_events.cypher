// Purpose: which of these events are in the graph under this type, and with which body.
// Parameters: $event_ids list of string
// Columns: event_id, body_hash
UNWIND $event_ids AS event_id
MATCH ()-[event:EVENT_RELATIONSHIP {event_id: event_id}]->()
RETURN event.event_id AS event_id, event.body_hash AS body_hash
