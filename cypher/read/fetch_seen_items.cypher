// Purpose: what users have seen by unflagged events of some types, the newest of each item, newest
//   first.
// Parameters: $user_ids list of string, $relationships list of string, $limit integer
// Columns: user_id, seen list of [item_id, relationship]
UNWIND $user_ids AS user_id
MATCH (user:User {user_id: user_id})
CALL (user) {
  MATCH (user)-[event]->(item:Item)
  WHERE event.event_id IS NOT NULL AND event.flagged IS NULL AND type(event) IN $relationships
  WITH item.item_id AS item_id, type(event) AS relationship, max(event.occurred_at) AS newest
  ORDER BY newest DESC, item_id
  LIMIT $limit
  RETURN collect([item_id, relationship]) AS seen
}
RETURN user_id, seen
