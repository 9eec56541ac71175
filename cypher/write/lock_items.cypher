// Purpose: lock items until the transaction ends: what is read of them next nobody is writing.
// Parameters: $item_ids list of string
// Columns: locked
UNWIND $item_ids AS item_id
MATCH (item:Item {item_id: item_id})
SET item.locked = true
REMOVE item.locked
RETURN count(item) AS locked
