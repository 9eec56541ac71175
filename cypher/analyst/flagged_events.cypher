// Title: Which events were flagged, why, and of whom?
// Purpose: flagged events by reason, day (UTC) on which they were accepted, and user, the most
//   first. Reads the events of every user written to since then.
// Parameters: $days integer, $k integer
// Columns: reason, day, user_id, events, items, first_occurred_at, last_occurred_at, example
// Example: :param {days: 7, k: 100}
WITH datetime() - duration({days: $days}) AS since
MATCH (user:User)
WHERE user.updated_at >= since - duration({minutes: 5})
MATCH (user)-[event]->(item:Item)
WHERE event.flagged IS NOT NULL AND event.recorded_at >= since
RETURN
  event.flagged AS reason,
  date(event.recorded_at) AS day,
  user.user_id AS user_id,
  count(event) AS events,
  count(DISTINCT item) AS items,
  min(event.occurred_at) AS first_occurred_at,
  max(event.occurred_at) AS last_occurred_at,
  min(event.event_id) AS example
ORDER BY events DESC, day DESC, reason, user_id
LIMIT $k
