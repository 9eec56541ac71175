// Purpose: write item documents unless a newer one is there: properties, categories, brand.
// Parameters: $items list of {item_id string, revision integer, fields map, categories list of
//   list of {category_id, name, path, parent_id}, brand {brand_id, name} or null, document JSON}
// Columns: seen
UNWIND $items AS row
MERGE (item:Item {item_id: row.item_id})
ON CREATE SET item.facts_revision = 0, item.refreshed_revision = 0
// Locks the node, so that the next lines see what whoever wrote it has committed.
SET item.locked = true
REMOVE item.locked
WITH item, row, coalesce(item.catalog_revision, 0) < row.revision AS newer
CALL (item, row, newer) {
  WITH item, row, newer
  WHERE newer
  OPTIONAL MATCH (item)-[old:IN_CATEGORY|MADE_BY]->()
  DELETE old
  WITH DISTINCT item, row
  FOREACH (key IN [key IN keys(item) WHERE key STARTS WITH 'property_'] | REMOVE item[key])
  SET
    item += row.fields,
    item.known = true,
    item.document = row.document,
    item.deleted = null,
    item.catalog_revision = row.revision,
    item.facts_revision = item.facts_revision + 1,
    item.stale_since = coalesce(item.stale_since, datetime()),
    item.updated_at = datetime()
  FOREACH (path IN row.categories |
    FOREACH (level IN path |
      MERGE (category:Category {category_id: level.category_id})
      ON CREATE SET category.name = level.name, category.path = level.path
      FOREACH (parent_id IN [id IN [level.parent_id] WHERE id IS NOT NULL] |
        MERGE (parent:Category {category_id: parent_id})
        MERGE (category)-[:CHILD_OF]->(parent)))
    MERGE (leaf:Category {category_id: path[-1].category_id})
    MERGE (item)-[:IN_CATEGORY]->(leaf))
  FOREACH (brand_row IN [b IN [row.brand] WHERE b IS NOT NULL] |
    MERGE (brand:Brand {brand_id: brand_row.brand_id})
    ON CREATE SET brand.name = brand_row.name
    MERGE (item)-[:MADE_BY]->(brand))
}
RETURN count(item) AS seen
