"""The processes behind the API: the ingest loop, and Celery tasks for refreshing and training."""
