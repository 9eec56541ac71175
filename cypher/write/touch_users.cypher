// Purpose: create users unknown so far as stubs and mark users stale by their new events, of which
//   the flagged do not count; a user who was erased is not brought back.
// Parameters: $users list of {user_id string, events integer, since_ms integer}
// Columns: touched, with_past list of [user_id, erased, since_ms]: who was ever deleted
UNWIND $users AS row
MERGE (user:User {user_id: row.user_id})
ON CREATE SET
  user.known = false,
  user.facts_revision = 0,
  user.refreshed_revision = 0
SET
  user.facts_revision = user.facts_revision + row.events,
  user.stale_since = CASE WHEN row.events = 0 THEN user.stale_since
    ELSE coalesce(user.stale_since, datetime({epochMillis: coalesce(row.since_ms, timestamp())})) END,
  user.updated_at = datetime()
WITH user, row.user_id AS user_id,
  coalesce(user.created_again_at.epochMillis, 0) AS since_ms,
  EXISTS { (:ErasedUser {user_id: row.user_id}) } AS erased
FOREACH (gone IN CASE WHEN erased THEN [user] ELSE [] END | DETACH DELETE gone)
RETURN count(user_id) AS touched,
  collect(CASE WHEN erased OR since_ms > 0 THEN [user_id, erased, since_ms] END) AS with_past
