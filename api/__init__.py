"""The REST API: a thin Flask application over the core. Imports neither torch nor transformers."""
