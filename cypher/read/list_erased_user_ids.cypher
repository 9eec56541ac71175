// Purpose: a page of erased users in order of id.
// Parameters: $after string, $limit integer
// Columns: user_id
MATCH (tombstone:ErasedUser)
WHERE tombstone.user_id > $after
RETURN tombstone.user_id AS user_id
ORDER BY user_id
LIMIT $limit
