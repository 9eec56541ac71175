// Purpose: write events of one type as facts between users and items that exist; written once,
//   never changed by a model. A flag is among the fields.
// Parameters: $events list of {event_id, user_id, item_id, occurred_at_ms, recorded_at_ms,
//   body_hash, fields map}
// Columns: recorded
UNWIND $events AS row
MATCH (user:User {user_id: row.user_id})
MATCH (item:Item {item_id: row.item_id})
CREATE (user)-[event:EVENT_RELATIONSHIP {event_id: row.event_id}]->(item)
SET
  event += row.fields,
  event.occurred_at = datetime({epochMillis: row.occurred_at_ms}),
  event.recorded_at = datetime({epochMillis: row.recorded_at_ms}),
  event.body_hash = row.body_hash,
  event.history_of = CASE WHEN row.fields.flagged IS NULL THEN row.user_id END
RETURN count(event) AS recorded
