// Title: What did this user do, step by step?
// Purpose: the newest events of a user, flagged ones too, newest first, with the hours since the event before.
// Parameters: $user_id string, $num_events integer
// Columns: occurred_at, event_type, item_id, title, value, session_id, recommendation_id,
//   flagged, hours_since_previous
// Example: :param {user_id: 'household-1631', num_events: 100}
MATCH (user:User {user_id: $user_id})-[event]->(item:Item)
WHERE event.event_id IS NOT NULL
WITH event, item
ORDER BY event.occurred_at DESC, event.event_id DESC
LIMIT $num_events
WITH collect({event: event, item: item}) AS steps
UNWIND range(0, size(steps) - 1) AS place
WITH steps[place].event AS event, steps[place].item AS item,
  CASE WHEN place + 1 < size(steps) THEN steps[place + 1].event.occurred_at END AS previous
RETURN
  event.occurred_at AS occurred_at,
  type(event) AS event_type,
  item.item_id AS item_id,
  item.title AS title,
  event.value AS value,
  event.session_id AS session_id,
  event.recommendation_id AS recommendation_id,
  event.flagged AS flagged,
  (event.occurred_at.epochMillis - previous.epochMillis) / 3600000.0 AS hours_since_previous
ORDER BY occurred_at DESC, event.event_id DESC
