// Purpose: every item with what training needs of it.
// Parameters: none
// Columns: item_id, known, title, description, content_hash, text_embedding, facts_revision,
//   categories list of string, brand
MATCH (item:Item)
RETURN item.item_id AS item_id, coalesce(item.known, false) AS known, item.title AS title,
  item.description AS description, item.content_hash AS content_hash,
  item.text_embedding AS text_embedding, item.facts_revision AS facts_revision,
  [(item)-[:IN_CATEGORY]->(category:Category) | category.category_id] AS categories,
  head([(item)-[:MADE_BY]->(brand:Brand) | brand.name]) AS brand
ORDER BY item_id
