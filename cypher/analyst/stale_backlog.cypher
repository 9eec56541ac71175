// Title: What waits for a refresh?
// Purpose: the users and items that have been stale longest, and by how many revisions.
// Parameters: $limit integer
// Columns: label, id, stale_since, stale_seconds, revisions_behind, model_version
// Example: :param limit => 50
CALL () {
  MATCH (node:User)
  WHERE node.stale_since IS NOT NULL
  RETURN 'User' AS label, node.user_id AS id, node
  ORDER BY node.stale_since
  LIMIT $limit
  UNION ALL
  MATCH (node:Item)
  WHERE node.stale_since IS NOT NULL
  RETURN 'Item' AS label, node.item_id AS id, node
  ORDER BY node.stale_since
  LIMIT $limit
}
RETURN
  label,
  id,
  node.stale_since AS stale_since,
  (datetime().epochMillis - node.stale_since.epochMillis) / 1000.0 AS stale_seconds,
  node.facts_revision - node.refreshed_revision AS revisions_behind,
  node.model_version AS model_version
ORDER BY stale_since, label, id
LIMIT $limit
