// Purpose: mark every user stale, after a model was rolled out; runs in batches of its own.
// Parameters: none
// Columns: marked
MATCH (user:User)
CALL (user) {
  SET user.facts_revision = user.facts_revision + 1,
    user.stale_since = coalesce(user.stale_since, datetime())
} IN TRANSACTIONS OF 5000 ROWS
RETURN count(user) AS marked
