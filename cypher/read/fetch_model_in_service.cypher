// Purpose: the model in service.
// Parameters: none
// Columns: model_version
MATCH (model:Model {in_service: true})
RETURN model.model_version AS model_version
