// Purpose: the stale items, oldest first, without looking at the fresh ones.
// Parameters: none
// Columns: none
CREATE INDEX stale_items IF NOT EXISTS
FOR (item:Item) ON (item.stale_since)
