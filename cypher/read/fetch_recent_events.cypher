// Purpose: events of users that were accepted since a moment, with what tells a resend from a
//   conflict.
// Parameters: $user_ids list of string, $since_ms integer
// Columns: event_id, body_hash, recorded_at_ms
UNWIND $user_ids AS user_id
MATCH (user:User {user_id: user_id})-[event]->(:Item)
WHERE event.event_id IS NOT NULL AND event.recorded_at >= datetime({epochMillis: $since_ms})
RETURN event.event_id AS event_id, event.body_hash AS body_hash,
  event.recorded_at.epochMillis AS recorded_at_ms
