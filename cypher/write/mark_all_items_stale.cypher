// Purpose: mark every item stale, after a model was rolled out; runs in batches of its own.
// Parameters: none
// Columns: marked
MATCH (item:Item)
CALL (item) {
  SET item.facts_revision = item.facts_revision + 1,
    item.stale_since = coalesce(item.stale_since, datetime())
} IN TRANSACTIONS OF 5000 ROWS
RETURN count(item) AS marked
