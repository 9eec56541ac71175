// Title: What is this user interested in?
// Purpose: the learned interests of a user in items and categories, strongest first, and whether
//   newer events wait to be counted.
// Parameters: $user_id string
// Columns: kind, id, name, weight, updated_at, model_version, stale
// Example: :param user_id => 'household-1631'
MATCH (user:User {user_id: $user_id})-[edge:INTERESTED_IN]->(target:Item|Category)
RETURN
  CASE WHEN target:Item THEN 'item' ELSE 'category' END AS kind,
  coalesce(target.item_id, target.category_id) AS id,
  coalesce(target.title, target.path) AS name,
  edge.weight AS weight,
  edge.updated_at AS updated_at,
  edge.model_version AS model_version,
  user.facts_revision > user.refreshed_revision AS stale
ORDER BY kind, weight DESC, id
LIMIT 100
