// Title: Who is most loyal to a brand?
// Purpose: the users with the most unflagged purchases of a brand, and its share of all they bought.
// Parameters: $brand string (its name), $days integer, $k integer
// Columns: user_id, purchases, all_purchases, share, last_purchase
// Example: :param {brand: 'Private 69', days: 90, k: 20}
WITH datetime() - duration({days: $days}) AS since
MATCH (brand:Brand)
WHERE toLower(brand.name) = toLower($brand)
MATCH (brand)<-[:MADE_BY]-(:Item)<-[event:PURCHASED]-(user:User)
WHERE event.flagged IS NULL AND event.occurred_at >= since
WITH user, since, count(event) AS purchases, max(event.occurred_at) AS last_purchase
ORDER BY purchases DESC, user.user_id
LIMIT $k
CALL (user, since) {
  MATCH (user)-[event:PURCHASED]->(:Item)
  WHERE event.flagged IS NULL AND event.occurred_at >= since
  RETURN count(event) AS all_purchases
}
RETURN
  user.user_id AS user_id,
  purchases,
  all_purchases,
  toFloat(purchases) / all_purchases AS share,
  last_purchase
ORDER BY purchases DESC, share DESC, user_id
