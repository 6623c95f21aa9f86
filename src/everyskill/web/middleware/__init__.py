"""ASGI middleware around every request: admission, HEAD, logs and metrics."""
