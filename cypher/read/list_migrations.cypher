// Purpose: which migrations were ever applied to this graph.
// Parameters: none
// Columns: name
MATCH (migration:SchemaMigration)
RETURN migration.name AS name
ORDER BY name
