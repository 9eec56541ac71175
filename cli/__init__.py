"""The command line, and the local stack it manages."""
