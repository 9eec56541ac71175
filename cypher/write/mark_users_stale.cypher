// Purpose: mark a page of users stale, in order of id, after a model was rolled out.
// Parameters: $after string, $limit integer
// Columns: last
MATCH (user:User)
WHERE user.user_id > $after
WITH user
ORDER BY user.user_id
LIMIT $limit
SET user.facts_revision = user.facts_revision + 1,
  user.stale_since = coalesce(user.stale_since, datetime())
RETURN max(user.user_id) AS last
