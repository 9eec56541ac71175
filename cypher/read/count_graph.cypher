// Purpose: how large the graph is.
// Parameters: none
// Columns: users, items, categories
RETURN COUNT { (:User) } AS users, COUNT { (:Item) } AS items, COUNT { (:Category) } AS categories
