// Purpose: Change the first password of a new Neo4j; runs on the database `system`.
// Parameters: $old_password string, $new_password string
// Columns: none
ALTER CURRENT USER SET PASSWORD FROM $old_password TO $new_password
