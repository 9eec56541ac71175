// Title: Which model versions are in use?
// Purpose: how many users and items carry the embedding of each model version, and which version
//   is in service. Reads every user and item.
// Parameters: none
// Columns: label, model_version, in_service, nodes, stale, last_updated_at
CALL () {
  MATCH (node:User)
  RETURN 'User' AS label, node.model_version AS model_version, count(node) AS nodes,
    count(node.stale_since) AS stale, max(node.updated_at) AS last_updated_at
  UNION ALL
  MATCH (node:Item)
  RETURN 'Item' AS label, node.model_version AS model_version, count(node) AS nodes,
    count(node.stale_since) AS stale, max(node.updated_at) AS last_updated_at
}
RETURN
  label,
  coalesce(model_version, 'none yet') AS model_version,
  EXISTS { (model:Model {in_service: true}) WHERE model.model_version = model_version }
    AS in_service,
  nodes,
  stale,
  last_updated_at
ORDER BY label, in_service DESC, nodes DESC
LIMIT 100
