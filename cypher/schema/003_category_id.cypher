// Purpose: a category_id names one category.
// Parameters: none
// Columns: none
CREATE CONSTRAINT category_id IF NOT EXISTS
FOR (category:Category) REQUIRE category.category_id IS UNIQUE
