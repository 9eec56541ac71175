// Purpose: see that Neo4j answers.
// Parameters: none
// Columns: ok
RETURN 1 AS ok
