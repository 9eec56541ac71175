// Title: Which learned edges does the graph hold, and from which model?
// Purpose: learned relationships by type and model version with the span of their weights. Reads
//   every learned relationship; facts are left out.
// Parameters: none
// Columns: relationship, model_version, in_service, edges, lowest_weight, highest_weight
MATCH ()-[edge:INTERESTED_IN|SIMILAR_TO|BELONGS_TO|RELATED_TO]->()
WITH type(edge) AS relationship, edge.model_version AS model_version, count(edge) AS edges,
  min(edge.weight) AS lowest_weight, max(edge.weight) AS highest_weight
RETURN
  relationship,
  model_version,
  EXISTS { (model:Model {in_service: true}) WHERE model.model_version = model_version }
    AS in_service,
  edges,
  lowest_weight,
  highest_weight
ORDER BY relationship, in_service DESC, edges DESC
LIMIT 100
