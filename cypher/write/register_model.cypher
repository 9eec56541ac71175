// Purpose: remember a trained model and what its evaluation said.
// Parameters: $model_version string, $metrics map
// Columns: none
MERGE (model:Model {model_version: $model_version})
ON CREATE SET model.created_at = datetime(), model.in_service = false
SET model += $metrics
