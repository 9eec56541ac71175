// Purpose: the revisions of users, read before their events so that no mark is lost.
// Parameters: $user_ids list of string
// Columns: user_id, facts_revision, refreshed_revision, stale_since_ms
UNWIND $user_ids AS user_id
MATCH (user:User {user_id: user_id})
RETURN user.user_id AS user_id, user.facts_revision AS facts_revision,
  user.refreshed_revision AS refreshed_revision,
  user.stale_since.epochMillis AS stale_since_ms
