// Purpose: the stale users, oldest first, without looking at the fresh ones.
// Parameters: none
// Columns: none
CREATE INDEX stale_users IF NOT EXISTS
FOR (user:User) ON (user.stale_since)
