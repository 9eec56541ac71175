"""The graph in Neo4j: one typed function for every statement in `cypher/`, by the same name."""
