// Purpose: the history of a user, newest first, without a look at what is older; made once for each
//   declared event type.
// Parameters: none
// Columns: none
CREATE INDEX history_EVENT_RELATIONSHIP IF NOT EXISTS
FOR ()-[event:EVENT_RELATIONSHIP]-() ON (event.history_of, event.occurred_at, event.event_id)
