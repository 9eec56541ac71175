"""A real Neo4j, a real Redis and the service's own processes under one directory.

`stack.py` is the way in; every other module holds one noun of it. Nothing here is used for servers
that the settings name themselves.
"""
