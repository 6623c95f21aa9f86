"""The response headers that the API, the pages and the errors have in common."""

# The response belongs to one user: only that user's browser may keep it, and must revalidate it before each use.
PRIVATE = {"Cache-Control": "private, no-cache", "Vary": "Authorization, Cookie"}
NO_STORE = {"Cache-Control": "no-store"}
# Browsers take the Content-Type as it is and do not guess another one.
NO_SNIFF = {"X-Content-Type-Options": "nosniff"}
