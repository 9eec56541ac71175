// Purpose: create items unknown so far as stubs, add to their popularity, mark them stale by their
//   new events, of which the flagged do not count.
// Parameters: $items list of {item_id string, events integer, popularity float,
//   since_ms integer}
// Columns: touched
UNWIND $items AS row
MERGE (item:Item {item_id: row.item_id})
ON CREATE SET
  item.known = false,
  item.hidden = false,
  item.facts_revision = 0,
  item.refreshed_revision = 0
SET
  item.event_count = coalesce(item.event_count, 0) + row.events,
  item.popularity = coalesce(item.popularity, 0.0) + row.popularity,
  item.facts_revision = item.facts_revision + row.events,
  item.stale_since = CASE WHEN row.events = 0 THEN item.stale_since
    ELSE coalesce(item.stale_since, datetime({epochMillis: coalesce(row.since_ms, timestamp())})) END,
  item.updated_at = datetime()
RETURN count(item) AS touched
