// Purpose: the categories of items with the model's weights, or equal ones before it has any.
// Parameters: $item_ids list of string
// Columns: item_id, categories list of [category_id, weight]
UNWIND $item_ids AS item_id
MATCH (item:Item {item_id: item_id})
CALL (item) {
  OPTIONAL MATCH (item)-[:IN_CATEGORY]->(category:Category)
  OPTIONAL MATCH (item)-[belongs:BELONGS_TO]->(category)
  WITH category, belongs
  ORDER BY category.category_id
  RETURN [pair IN collect([category.category_id, coalesce(belongs.weight, 1.0)])
    WHERE pair[0] IS NOT NULL] AS categories
}
RETURN item.item_id AS item_id, categories
