// Purpose: users whose facts are newer than their interests, longest stale first.
// Parameters: $limit integer
// Columns: user_id
MATCH (user:User)
WHERE user.stale_since IS NOT NULL
RETURN user.user_id AS user_id
ORDER BY user.stale_since
LIMIT $limit
