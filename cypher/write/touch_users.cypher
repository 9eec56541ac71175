// Purpose: create users unknown so far as stubs and mark users stale by their new events.
// Parameters: $users list of {user_id string, events integer}
// Columns: touched
UNWIND $users AS row
MERGE (user:User {user_id: row.user_id})
ON CREATE SET
  user.known = false,
  user.facts_revision = 0,
  user.refreshed_revision = 0
SET
  user.facts_revision = user.facts_revision + row.events,
  user.stale_since = coalesce(user.stale_since, datetime()),
  user.updated_at = datetime()
RETURN count(user) AS touched
