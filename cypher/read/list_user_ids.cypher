// Purpose: a page of users in order of id.
// Parameters: $after string, $limit integer
// Columns: user_id
MATCH (user:User)
WHERE user.user_id > $after
RETURN user.user_id AS user_id
ORDER BY user_id
LIMIT $limit
