// Purpose: take an item out of the catalogue; its events stay facts, it becomes a stub again.
// Parameters: $item_id string, $revision integer
// Columns: deleted
MERGE (item:Item {item_id: $item_id})
ON CREATE SET item.facts_revision = 0, item.refreshed_revision = 0
// Locks the node, so that the next lines see what whoever wrote it has committed.
SET item.locked = true
REMOVE item.locked
WITH item
WHERE coalesce(item.catalog_revision, 0) < $revision
OPTIONAL MATCH (item)-[described:IN_CATEGORY|MADE_BY|SIMILAR_TO|BELONGS_TO]->()
DELETE described
WITH DISTINCT item
OPTIONAL MATCH (item)<-[similar:SIMILAR_TO]-(leaning)
// Their next event has them encoded without it, even if they are being encoded with it now.
SET leaning.facts_revision = leaning.facts_revision + 1,
  leaning.refreshed_revision = leaning.refreshed_revision + 1
DELETE similar
WITH DISTINCT item
FOREACH (key IN [key IN keys(item) WHERE key STARTS WITH 'property_'] | REMOVE item[key])
SET
  item.known = false,
  item.deleted = true,
  item.document = null,
  item.title = null,
  item.description = null,
  item.price = null,
  item.image_url = null,
  item.embedding = null,
  item.text_embedding = null,
  item.content_hash = null,
  item.catalog_revision = $revision,
  item.facts_revision = item.facts_revision + 1,
  item.stale_since = coalesce(item.stale_since, datetime()),
  item.updated_at = datetime()
RETURN count(item) AS deleted
