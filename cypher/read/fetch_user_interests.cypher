// Purpose: the learned interests of a user in items and categories, strongest first.
// Parameters: $user_id string
// Columns: kind, id, name, weight, model_version, updated_at_ms
MATCH (user:User {user_id: $user_id})-[edge:INTERESTED_IN]->(target)
RETURN
  CASE WHEN target:Item THEN 'item' ELSE 'category' END AS kind,
  coalesce(target.item_id, target.category_id) AS id,
  coalesce(target.title, target.path) AS name,
  edge.weight AS weight,
  edge.model_version AS model_version,
  edge.updated_at.epochMillis AS updated_at_ms
ORDER BY weight DESC, id
