// Purpose: remember that a migration of cypher/schema was applied.
// Parameters: $name string
// Columns: none
MERGE (migration:SchemaMigration {name: $name})
ON CREATE SET migration.applied_at = datetime()
