// Title: How many events of each type came in on each day?
// Purpose: events, how many of them are flagged, users and items by event type and day (UTC). Reads the events of every user
//   written to since then: an event always sets updated_at of its user.
// Parameters: $days integer
// Columns: day, event_type, events, flagged, users, items
// Example: :param days => 7
WITH datetime() - duration({days: $days}) AS since
MATCH (user:User)
WHERE user.updated_at >= since - duration({minutes: 5})
MATCH (user)-[event]->(item:Item)
WHERE event.event_id IS NOT NULL AND event.occurred_at >= since
RETURN
  date(event.occurred_at) AS day,
  type(event) AS event_type,
  count(event) AS events,
  count(event.flagged) AS flagged,
  count(DISTINCT user) AS users,
  count(DISTINCT item) AS items
ORDER BY day DESC, events DESC, event_type
LIMIT 1000
