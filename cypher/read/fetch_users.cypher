// Purpose: what the graph keeps of users beside their events: documents, and tombstones of the
//   erased.
// Parameters: $user_ids list of string
// Columns: user_id, known, document, revision, erased, since_ms
UNWIND $user_ids AS user_id
OPTIONAL MATCH (user:User {user_id: user_id})
OPTIONAL MATCH (tombstone:ErasedUser {user_id: user_id})
WITH user_id, user, tombstone
WHERE user IS NOT NULL OR tombstone IS NOT NULL
RETURN user_id, coalesce(user.known, false) AS known, user.document AS document,
  coalesce(user.catalog_revision, 0) AS revision, coalesce(tombstone.revision, 0) AS erased,
  coalesce(user.created_again_at.epochMillis, 0) AS since_ms
