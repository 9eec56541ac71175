"""The shapes of answers. Inputs are the core's own models (`interest_graph/item.py` …)."""
