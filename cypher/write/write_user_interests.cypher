// Purpose: write refreshed users and replace their INTERESTED_IN, unless something newer is there
//   or the model is no longer in service.
// Parameters: $users list of {user_id, read_revision, embedding, items list of {item_id, weight},
//   categories list of {category_id, weight}}, $model_version string
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
CALL (user) {
  MATCH (user)-[old:INTERESTED_IN]->()
  DELETE old
}
CALL (user, row) {
  UNWIND row.items AS interest
  MATCH (item:Item {item_id: interest.item_id})
  CREATE (user)-[edge:INTERESTED_IN]->(item)
  SET edge.weight = interest.weight, edge.model_version = $model_version,
    edge.updated_at = datetime()
}
CALL (user, row) {
  UNWIND row.categories AS interest
  MATCH (category:Category {category_id: interest.category_id})
  CREATE (user)-[edge:INTERESTED_IN]->(category)
  SET edge.weight = interest.weight, edge.model_version = $model_version,
    edge.updated_at = datetime()
}
RETURN count(user) AS written
