"""What surrounds every request: admission, HEAD, logs and metrics."""
