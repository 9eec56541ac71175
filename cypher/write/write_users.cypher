// Purpose: write user documents unless a newer one, or a newer tombstone, is there: properties and
//   declared categories.
// Parameters: $users list of {user_id string, revision integer, fields map, categories list of
//   list of {category_id, name, path, parent_id}, document JSON, since_ms integer or null}
// Columns: seen
UNWIND $users AS row
MERGE (user:User {user_id: row.user_id})
ON CREATE SET user.facts_revision = 0, user.refreshed_revision = 0
// Locks the node, so that the next lines see what whoever wrote it has committed.
SET user.locked = true
REMOVE user.locked
WITH user, row
OPTIONAL MATCH (tombstone:ErasedUser {user_id: row.user_id})
WITH user, row, tombstone, coalesce(user.catalog_revision, 0) < row.revision
  AND coalesce(tombstone.revision, 0) < row.revision AS newer
CALL (user, tombstone, newer) {
  WITH user, tombstone, newer
  WHERE tombstone IS NOT NULL AND NOT newer
  DETACH DELETE user
}
CALL (user, row, tombstone, newer) {
  WITH user, row, tombstone, newer
  WHERE newer
  DELETE tombstone
  WITH user, row
  // Entries that were overtaken: the deletion comes too late, or came before these events.
  CALL (user, row) {
    WITH user, row
    WHERE row.since_ms > coalesce(user.created_again_at.epochMillis, 0)
    MATCH (user)-[past]->(:Item)
    WHERE past.event_id IS NOT NULL
      AND past.occurred_at < datetime({epochMillis: row.since_ms})
    DELETE past
  }
  WITH user, row
  OPTIONAL MATCH (user)-[old:PREFERS]->()
  DELETE old
  WITH DISTINCT user, row
  FOREACH (key IN [key IN keys(user) WHERE key STARTS WITH 'property_'] | REMOVE user[key])
  SET
    user += row.fields,
    user.known = true,
    user.document = row.document,
    user.created_again_at =
      CASE WHEN row.since_ms IS NULL THEN null ELSE datetime({epochMillis: row.since_ms}) END,
    user.catalog_revision = row.revision,
    user.facts_revision = user.facts_revision + 1,
    user.stale_since = coalesce(user.stale_since, datetime()),
    user.updated_at = datetime()
  FOREACH (path IN row.categories |
    FOREACH (level IN path |
      MERGE (category:Category {category_id: level.category_id})
      ON CREATE SET category.name = level.name, category.path = level.path
      FOREACH (parent_id IN [id IN [level.parent_id] WHERE id IS NOT NULL] |
        MERGE (parent:Category {category_id: parent_id})
        MERGE (category)-[:CHILD_OF]->(parent)))
    MERGE (leaf:Category {category_id: path[-1].category_id})
    MERGE (user)-[:PREFERS]->(leaf))
}
RETURN count(row) AS seen
