// Purpose: refresh items that events alone made stale within a day of their encoding: their
//   embedding stands, their popularity moved.
// Parameters: $item_ids list of string, $model_version string
// Columns: item_id, popularity, popularity_at_ms
MATCH (:Model {model_version: $model_version, in_service: true})
UNWIND $item_ids AS item_id
MATCH (item:Item {item_id: item_id})
// Locks the node, so that the next lines see what whoever wrote it has committed.
SET item.locked = true
REMOVE item.locked
WITH item
WHERE item.model_version = $model_version
  AND item.refreshed_revision < item.facts_revision
  AND item.encoded_revision = item.facts_revision - item.event_count
  AND item.encoded_at > datetime() - duration({days: 1})
SET
  item.refreshed_revision = item.facts_revision,
  item.updated_at = datetime(),
  item.stale_since = null
RETURN item.item_id AS item_id, coalesce(item.popularity, 0.0) AS popularity,
  item.popularity_at.epochMillis AS popularity_at_ms
