// Purpose: a deleted user leaves one tombstone.
// Parameters: none
// Columns: none
CREATE CONSTRAINT erased_user_id IF NOT EXISTS
FOR (tombstone:ErasedUser) REQUIRE tombstone.user_id IS UNIQUE
