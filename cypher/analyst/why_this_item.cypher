// Title: Why might this user see this item?
// Purpose: the paths from a user's newest events over a SIMILAR_TO relationship to an item, with
//   the weight on each part. The exact terms of a score are the API's explanation.
// Parameters: $user_id string, $item_id string, $num_events integer
// Columns: event_type, event_id, occurred_at, through_item_id, through_title, interest_weight,
//   similar_weight, model_version
// Example: :param {user_id: 'household-1631', item_id: 'product-1029743', num_events: 50}
MATCH (item:Item {item_id: $item_id})
MATCH (user:User {user_id: $user_id})
CALL (user) {
  MATCH (user)-[event]->(through:Item)
  WHERE event.event_id IS NOT NULL AND event.flagged IS NULL
  RETURN event, through
  ORDER BY event.occurred_at DESC, event.event_id DESC
  LIMIT $num_events
}
MATCH (through)-[similar:SIMILAR_TO]->(item)
OPTIONAL MATCH (user)-[interest:INTERESTED_IN]->(through)
RETURN
  type(event) AS event_type,
  event.event_id AS event_id,
  event.occurred_at AS occurred_at,
  through.item_id AS through_item_id,
  through.title AS through_title,
  interest.weight AS interest_weight,
  similar.weight AS similar_weight,
  similar.model_version AS model_version
ORDER BY similar_weight DESC, occurred_at DESC, event_id
