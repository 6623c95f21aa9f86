"""What is asked of a real PostgreSQL."""
