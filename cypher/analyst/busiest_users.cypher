// Title: Who is fastest, and who would be flagged?
// Purpose: the most live events of a user in a minute and on a day (UTC, by when they were
//   accepted), flagged ones too, and how many lie beyond a number of events a minute. Says what
//   another INTEREST_GRAPH_BURST_EVENTS would flag. Reads the events of every user written to
//   since then.
// Parameters: $days integer, $live_s integer (the setting live_s), $burst_events integer, $k integer
// Columns: user_id, events, most_in_a_minute, most_in_a_day, beyond, flagged
// Example: :param {days: 7, live_s: 300, burst_events: 600, k: 50}
WITH datetime() - duration({days: $days}) AS since
MATCH (user:User)
WHERE user.updated_at >= since - duration({minutes: 5})
MATCH (user)-[event]->(:Item)
WHERE event.event_id IS NOT NULL AND event.recorded_at >= since
  AND event.recorded_at <= event.occurred_at + duration({seconds: $live_s})
WITH user, datetime.truncate('minute', event.recorded_at) AS minute,
  count(event) AS in_minute, count(event.flagged) AS flagged
WITH user, date(minute) AS day, sum(in_minute) AS in_day, max(in_minute) AS most,
  sum(CASE WHEN in_minute > $burst_events THEN in_minute - $burst_events ELSE 0 END) AS beyond,
  sum(flagged) AS flagged
RETURN
  user.user_id AS user_id,
  sum(in_day) AS events,
  max(most) AS most_in_a_minute,
  max(in_day) AS most_in_a_day,
  sum(beyond) AS beyond,
  sum(flagged) AS flagged
ORDER BY most_in_a_minute DESC, most_in_a_day DESC, user_id
LIMIT $k
