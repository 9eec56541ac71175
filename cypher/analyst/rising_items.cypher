// Title: Which items are rising?
// Purpose: of the items most popular now, those with the largest growth in events over the span
//   before. Popularity is stored as of the item's newest event, popularity_at: what has faded since
//   is taken off here.
// Parameters: $days integer, $half_life_days float (the setting popularity_half_life_days),
//   $num_items integer, $k integer
// Columns: item_id, title, events_before, events_now, growth, popularity_now
// Example: :param {days: 7, half_life_days: 30.0, num_items: 200, k: 20}
WITH datetime() AS now
MATCH (item:Item {known: true})
WHERE item.popularity IS NOT NULL
WITH
  item,
  now,
  item.popularity
    * 2.0 ^ ((item.popularity_at.epochMillis - now.epochMillis) / ($half_life_days * 86400000.0))
    AS popularity_now
ORDER BY popularity_now DESC, item.item_id
LIMIT $num_items
CALL (item, now) {
  MATCH (:User)-[event]->(item)
  WHERE event.event_id IS NOT NULL AND event.flagged IS NULL
    AND event.occurred_at > now - duration({days: 2 * $days})
  WITH event.occurred_at > now - duration({days: $days}) AS recent
  RETURN
    sum(CASE WHEN recent THEN 0 ELSE 1 END) AS events_before,
    sum(CASE WHEN recent THEN 1 ELSE 0 END) AS events_now
}
WITH item, popularity_now, events_before, events_now
WHERE events_now > events_before
RETURN
  item.item_id AS item_id,
  item.title AS title,
  events_before,
  events_now,
  events_now - events_before AS growth,
  popularity_now
ORDER BY growth DESC, popularity_now DESC, item_id
LIMIT $k
