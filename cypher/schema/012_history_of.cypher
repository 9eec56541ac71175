// Purpose: name on every unflagged event the user whose history it is in; applied once.
// Parameters: none
// Columns: none
MATCH (user:User)
CALL (user) {
  MATCH (user)-[event]->(:Item)
  WHERE event.event_id IS NOT NULL AND event.flagged IS NULL AND event.history_of IS NULL
  SET event.history_of = user.user_id
} IN TRANSACTIONS OF 100 ROWS
