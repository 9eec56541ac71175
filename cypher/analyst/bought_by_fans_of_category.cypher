// Title: What else do the fans of a category buy?
// Purpose: unflagged purchases outside a category by the users most interested in it or in one below it.
// Parameters: $category string (its path), $num_users integer, $k integer
// Columns: item_id, title, fans, purchases, last_purchase
// Example: :param {category: 'Grocery > Yogurt', num_users: 200, k: 20}
MATCH (top:Category {path: $category})
CALL (top) {
  MATCH (top)<-[:CHILD_OF*0..7]-(category:Category)
  RETURN collect(DISTINCT category) AS categories
}
CALL (categories) {
  UNWIND categories AS category
  MATCH (user:User)-[edge:INTERESTED_IN]->(category)
  WITH user, sum(edge.weight) AS weight
  ORDER BY weight DESC, user.user_id
  LIMIT $num_users
  RETURN collect(user) AS users
}
UNWIND users AS user
MATCH (user)-[event:PURCHASED]->(item:Item)
WHERE event.flagged IS NULL AND none(category IN categories WHERE EXISTS { (item)-[:IN_CATEGORY]->(category) })
RETURN
  item.item_id AS item_id,
  item.title AS title,
  count(DISTINCT user) AS fans,
  count(event) AS purchases,
  max(event.occurred_at) AS last_purchase
ORDER BY fans DESC, purchases DESC, item_id
LIMIT $k
