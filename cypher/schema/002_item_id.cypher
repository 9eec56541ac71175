// Purpose: an item_id names one item.
// Parameters: none
// Columns: none
CREATE CONSTRAINT item_id IF NOT EXISTS
FOR (item:Item) REQUIRE item.item_id IS UNIQUE
