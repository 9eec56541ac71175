// Purpose: a brand_id names one brand.
// Parameters: none
// Columns: none
CREATE CONSTRAINT brand_id IF NOT EXISTS
FOR (brand:Brand) REQUIRE brand.brand_id IS UNIQUE
