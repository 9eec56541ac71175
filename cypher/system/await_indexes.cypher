// Purpose: wait until every index answers; a statement that needs one reads everything before that.
// Parameters: none
// Columns: none
CALL db.awaitIndexes(3600)
