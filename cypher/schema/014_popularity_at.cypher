// Purpose: popularity is as of popularity_at; sums of before counted from 2020 on.
// Parameters: none
// Columns: none
MATCH (item:Item)
WHERE item.popularity IS NOT NULL AND item.popularity_at IS NULL
CALL (item) {
  SET item.popularity_at = datetime({epochMillis: 1577836800000})
} IN TRANSACTIONS OF 10000 ROWS
