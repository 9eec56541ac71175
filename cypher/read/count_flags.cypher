// Purpose: how many events of users are flagged, by reason, and when the newest was accepted.
// Parameters: $user_ids list of string
// Columns: user_id, reason, events, newest_ms
UNWIND $user_ids AS user_id
MATCH (user:User {user_id: user_id})-[event]->(:Item)
WHERE event.flagged IS NOT NULL
RETURN user_id, event.flagged AS reason, count(event) AS events,
  max(event.recorded_at).epochMillis AS newest_ms
ORDER BY user_id, reason
