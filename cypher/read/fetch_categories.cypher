// Purpose: every category with its path from the top.
// Parameters: none
// Columns: category_id, path, model_version
MATCH (category:Category)
RETURN category.category_id AS category_id, category.path AS path,
  category.model_version AS model_version
ORDER BY category_id
