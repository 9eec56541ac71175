// Purpose: remember that migrations of cypher/schema were applied, and when for the first time.
// Parameters: $names list of string
// Columns: none
UNWIND $names AS name
MERGE (migration:SchemaMigration {name: name})
ON CREATE SET migration.applied_at = datetime()
