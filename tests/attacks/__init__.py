"""What stopped the service once, again, and what held: bounded in time and number, on loopback alone."""
"""Attacks on the service as it runs: bounded in number and time, and over loopback."""
