"""Every Cypher statement of Interest Graph, one to a `.cypher` file, and their loader."""
