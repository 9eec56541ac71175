"""The core of Interest Graph: domain, ports, adapters and use cases. Re-exports nothing."""
