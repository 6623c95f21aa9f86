"""Who sends a request, from a bearer token or a session's cookie."""
