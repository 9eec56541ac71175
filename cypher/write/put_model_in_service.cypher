// Purpose: make one registered model the one in service.
// Parameters: $model_version string
// Columns: in_service
MATCH (model:Model {model_version: $model_version})
CALL () {
  MATCH (old:Model {in_service: true})
  SET old.in_service = false
}
SET model.in_service = true, model.in_service_since = datetime()
RETURN count(model) AS in_service
