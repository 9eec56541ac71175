// Purpose: write refreshed users and replace their INTERESTED_IN, unless something newer is there
//   or the model is no longer in service. An edge that stays is changed in place, which costs
//   half of deleting it and making another.
// Parameters: $users list of {user_id, read_revision, embedding, items map of item_id to weight,
//   categories map of category_id to weight}, $model_version string
// Columns: written
MATCH (:Model {model_version: $model_version, in_service: true})
UNWIND $users AS row
MATCH (user:User {user_id: row.user_id})
// Locks the node, so that the next lines see what whoever wrote it has committed.
SET user.locked = true
REMOVE user.locked
WITH user, row
WHERE user.refreshed_revision < row.read_revision
SET
  user.embedding = row.embedding,
  user.model_version = $model_version,
  user.refreshed_revision = row.read_revision,
  user.updated_at = datetime(),
  user.stale_since =
    CASE WHEN user.facts_revision > row.read_revision THEN user.stale_since ELSE null END
WITH user, row
CALL (user, row) {
  MATCH (user)-[edge:INTERESTED_IN]->(target)
  WITH edge, CASE WHEN target:Item THEN 'item' ELSE 'category' END AS kind,
    coalesce(target.item_id, target.category_id) AS id
  WITH edge, kind, id, CASE kind WHEN 'item' THEN row.items[id] ELSE row.categories[id] END AS weight
  FOREACH (gone IN CASE WHEN weight IS NULL THEN [edge] ELSE [] END | DELETE gone)
  FOREACH (kept IN CASE WHEN weight IS NULL THEN [] ELSE [edge] END |
    SET kept.weight = weight, kept.model_version = $model_version, kept.updated_at = datetime())
  RETURN collect(CASE WHEN weight IS NOT NULL AND kind = 'item' THEN id END) AS kept_items,
    collect(CASE WHEN weight IS NOT NULL AND kind = 'category' THEN id END) AS kept_categories
}
CALL (user, row, kept_items) {
  UNWIND [id IN keys(row.items) WHERE NOT id IN kept_items] AS id
  MATCH (item:Item {item_id: id})
  CREATE (user)-[edge:INTERESTED_IN]->(item)
  SET edge.weight = row.items[id], edge.model_version = $model_version,
    edge.updated_at = datetime()
}
CALL (user, row, kept_categories) {
  UNWIND [id IN keys(row.categories) WHERE NOT id IN kept_categories] AS id
  MATCH (category:Category {category_id: id})
  CREATE (user)-[edge:INTERESTED_IN]->(category)
  SET edge.weight = row.categories[id], edge.model_version = $model_version,
    edge.updated_at = datetime()
}
RETURN count(user) AS written
