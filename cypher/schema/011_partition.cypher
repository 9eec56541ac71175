// Purpose: a partition of the log has one fence.
// Parameters: none
// Columns: none
CREATE CONSTRAINT partition_number IF NOT EXISTS
FOR (partition:Partition) REQUIRE partition.number IS UNIQUE
