// Purpose: how many users and items are stale, and for how many seconds the oldest has been.
// Parameters: none
// Columns: stale_users, stale_items, oldest_stale_seconds
CALL () {
  MATCH (user:User)
  WHERE user.stale_since IS NOT NULL
  RETURN count(user) AS stale_users, min(user.stale_since) AS oldest_user
}
CALL () {
  MATCH (item:Item)
  WHERE item.stale_since IS NOT NULL
  RETURN count(item) AS stale_items, min(item.stale_since) AS oldest_item
}
WITH stale_users, stale_items,
  CASE WHEN oldest_item IS NULL OR oldest_user < oldest_item THEN oldest_user ELSE oldest_item END
    AS oldest
RETURN stale_users, stale_items,
  coalesce((datetime().epochMillis - oldest.epochMillis) / 1000.0, 0.0) AS oldest_stale_seconds
