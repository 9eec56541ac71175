// Purpose: a user_id names one user.
// Parameters: none
// Columns: none
CREATE CONSTRAINT user_id IF NOT EXISTS
FOR (user:User) REQUIRE user.user_id IS UNIQUE
