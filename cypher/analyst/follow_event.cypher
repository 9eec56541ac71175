// Title: What does one event stand next to?
// Purpose: what one event stands next to: the fact, the user's strongest interests now, and the
//   items that the event's item leads to.
// Parameters: $user_id string, $event_id string
// Columns: fact, interests, similar
// Example: :param {user_id: 'household-1631', event_id: 'my-event-1'}
MATCH fact = (user:User {user_id: $user_id})-[event {event_id: $event_id}]->(item:Item)
CALL (user) {
  OPTIONAL MATCH interest = (user)-[weighted:INTERESTED_IN]->(:Item|Category)
  WITH interest
  ORDER BY weighted.weight DESC
  LIMIT 10
  RETURN collect(interest) AS interests
}
CALL (item) {
  OPTIONAL MATCH next = (item)-[weighted:SIMILAR_TO]->(:Item)
  WITH next
  ORDER BY weighted.weight DESC
  LIMIT 5
  RETURN collect(next) AS similar
}
RETURN fact, interests, similar
