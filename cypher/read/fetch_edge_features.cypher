// Purpose: what the weight of a SIMILAR_TO relationship is computed from, for given pairs.
// Parameters: $pairs list of [item_id, item_id]
// Columns: source_id, target_id, evidence, reverse_evidence, source_text, target_text,
//   same_category, same_brand
UNWIND $pairs AS pair
MATCH (source:Item {item_id: pair[0]})
MATCH (target:Item {item_id: pair[1]})
OPTIONAL MATCH (source)-[forward:SIMILAR_TO]->(target)
OPTIONAL MATCH (target)-[backward:SIMILAR_TO]->(source)
RETURN source.item_id AS source_id, target.item_id AS target_id,
  coalesce(forward.evidence, 0.0) AS evidence,
  coalesce(backward.evidence, 0.0) AS reverse_evidence,
  source.text_embedding AS source_text, target.text_embedding AS target_text,
  EXISTS { (source)-[:IN_CATEGORY]->(:Category)<-[:IN_CATEGORY]-(target) } AS same_category,
  EXISTS { (source)-[:MADE_BY]->(:Brand)<-[:MADE_BY]-(target) } AS same_brand
