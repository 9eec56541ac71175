// Purpose: erase a user with every event and learned edge, and leave a tombstone that keeps out
//   what arrives late; the first MERGE locks the id against a late event in another transaction.
// Parameters: $user_id string, $revision integer
// Columns: deleted
MERGE (user:User {user_id: $user_id})
// Locks the node, so that the next lines see what whoever wrote it has committed.
SET user.locked = true
REMOVE user.locked
WITH user
WHERE coalesce(user.catalog_revision, 0) < $revision
MERGE (tombstone:ErasedUser {user_id: $user_id})
SET tombstone.revision =
  CASE WHEN tombstone.revision > $revision THEN tombstone.revision ELSE $revision END
DETACH DELETE user
RETURN count(*) AS deleted
