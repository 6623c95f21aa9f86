"""Authentication: which user of which tenant sends a request, by a bearer token or a session cookie."""
