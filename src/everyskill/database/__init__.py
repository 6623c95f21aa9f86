"""How to reach the database: connections, a tenant's transaction, and one function a question."""
