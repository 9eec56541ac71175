// Purpose: the items nearest to an embedding, for analysts and for items without evidence.
// Parameters: none
// Columns: none
CREATE VECTOR INDEX item_embedding IF NOT EXISTS
FOR (item:Item) ON (item.embedding)
OPTIONS {indexConfig: {`vector.similarity_function`: 'cosine'}}
