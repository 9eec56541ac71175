// Purpose: the revisions of items, read before their neighbourhood so that no mark is lost, and
//   whether events alone made them stale within a day of their encoding; then their embedding too.
// Parameters: $item_ids list of string
// Columns: item_id, facts_revision, refreshed_revision, by_events, embedding
UNWIND $item_ids AS item_id
MATCH (item:Item {item_id: item_id})
WITH item,
  coalesce(
    item.encoded_revision = item.facts_revision - item.event_count
      AND item.encoded_at > datetime() - duration({days: 1}),
    false
  ) AS by_events
RETURN item.item_id AS item_id, item.facts_revision AS facts_revision,
  item.refreshed_revision AS refreshed_revision, by_events,
  CASE WHEN by_events THEN item.embedding END AS embedding
