// Purpose: an event_id names one event of this type; made once for each declared event type.
// Parameters: none
// Columns: none
CREATE CONSTRAINT event_id_EVENT_RELATIONSHIP IF NOT EXISTS
FOR ()-[event:EVENT_RELATIONSHIP]-() REQUIRE event.event_id IS UNIQUE
