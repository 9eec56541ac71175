// Purpose: the categories of items with the model's weights, or equal ones before it has any.
// Parameters: $item_ids list of string
// Columns: item_id, categories list of [category_id, weight]
UNWIND $item_ids AS item_id
MATCH (item:Item {item_id: item_id})
CALL (item) {
  MATCH (item)-[edge:IN_CATEGORY|BELONGS_TO]->(category:Category)
  WITH category, max(edge.weight) AS weight,
    count(CASE WHEN edge:IN_CATEGORY THEN true END) AS declared
  WHERE declared > 0
  WITH category.category_id AS category_id, coalesce(weight, 1.0) AS weight
  ORDER BY category_id
  RETURN collect([category_id, weight]) AS categories
}
RETURN item.item_id AS item_id, categories
