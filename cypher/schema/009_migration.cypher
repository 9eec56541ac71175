// Purpose: a migration is recorded once.
// Parameters: none
// Columns: none
CREATE CONSTRAINT migration_name IF NOT EXISTS
FOR (migration:SchemaMigration) REQUIRE migration.name IS UNIQUE
