"""Loads files of users, items and events by the same path that the REST API takes."""
