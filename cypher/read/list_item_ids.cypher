// Purpose: a page of the items that the catalogue knows or knew, in order of id.
// Parameters: $after string, $limit integer
// Columns: item_id
MATCH (item:Item)
WHERE item.item_id > $after AND item.catalog_revision IS NOT NULL
RETURN item.item_id AS item_id
ORDER BY item_id
LIMIT $limit
