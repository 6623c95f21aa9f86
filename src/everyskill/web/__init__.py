"""The HTTP service: one ASGI app with an API for programs under /v1 and pages for people."""
