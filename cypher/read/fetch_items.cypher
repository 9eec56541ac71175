// Purpose: the documents of items that the catalogue knows or knew.
// Parameters: $item_ids list of string
// Columns: item_id, known, document, revision
UNWIND $item_ids AS item_id
MATCH (item:Item {item_id: item_id})
WHERE item.catalog_revision IS NOT NULL
RETURN item_id, coalesce(item.known, false) AS known, item.document AS document,
  item.catalog_revision AS revision
