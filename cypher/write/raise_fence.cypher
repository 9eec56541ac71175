// Purpose: raise the fence of a partition of the log, for the worker that owns it from now on;
//   waits until whoever owned it has ended its transaction.
// Parameters: $number integer, $owner string
// Columns: fence
MERGE (partition:Partition {number: $number})
// Locks the node, so that the next line sees what whoever wrote it has committed.
SET partition.locked = true
REMOVE partition.locked
SET
  partition.fence = coalesce(partition.fence, 0) + 1,
  partition.owner = $owner,
  partition.owned_since = datetime()
RETURN partition.fence AS fence
