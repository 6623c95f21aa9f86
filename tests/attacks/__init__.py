"""What stopped the service once, again, and what held: bounded in time and number, on loopback alone."""
