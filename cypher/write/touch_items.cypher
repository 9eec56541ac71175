// Purpose: create items unknown so far as stubs, add to their popularity, mark them stale by their
//   new events, of which the flagged do not count. Popularity is as of popularity_at, the newest
//   event: what is older, the sum or what comes, fades until then.
// Parameters: $items list of {item_id string, events integer, popularity float,
//   popularity_at_ms integer, since_ms integer}, $half_life_ms float
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
  item.popularity = CASE
    WHEN row.popularity_at_ms IS NULL THEN item.popularity
    WHEN item.popularity_at IS NULL THEN row.popularity
    WHEN item.popularity_at.epochMillis < row.popularity_at_ms THEN row.popularity
      + item.popularity
        * 2.0 ^ ((item.popularity_at.epochMillis - row.popularity_at_ms) / $half_life_ms)
    ELSE item.popularity
      + row.popularity
        * 2.0 ^ ((row.popularity_at_ms - item.popularity_at.epochMillis) / $half_life_ms) END,
  item.popularity_at = CASE
    WHEN row.popularity_at_ms IS NULL THEN item.popularity_at
    WHEN item.popularity_at.epochMillis >= row.popularity_at_ms THEN item.popularity_at
    ELSE datetime({epochMillis: row.popularity_at_ms}) END,
  item.facts_revision = item.facts_revision + row.events,
  item.stale_since = CASE WHEN row.events = 0 THEN item.stale_since
    ELSE coalesce(item.stale_since, datetime({epochMillis: coalesce(row.since_ms, timestamp())})) END,
  item.updated_at = datetime()
RETURN count(item) AS touched
