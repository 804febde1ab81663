"""Who sends a request: its credentials become a `uwsd.uws.access.Caller`, which decides nothing."""
