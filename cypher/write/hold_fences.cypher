// Purpose: see that partitions of the log still have the fences that a worker raised; nobody can
//   raise them until the transaction has ended.
// Parameters: $fences list of {number integer, fence integer}, $owner string
// Columns: number
UNWIND $fences AS row
MATCH (partition:Partition {number: row.number})
// Locks the node, so that the next lines see what whoever wrote it has committed.
SET partition.locked = true
REMOVE partition.locked
WITH partition, row
WHERE partition.fence = row.fence AND partition.owner = $owner
RETURN partition.number AS number
