// Purpose: erase a user with every event and learned edge.
// Parameters: $user_id string, $revision integer
// Columns: deleted
MATCH (user:User {user_id: $user_id})
WHERE coalesce(user.catalog_revision, 0) < $revision
DETACH DELETE user
RETURN count(*) AS deleted
