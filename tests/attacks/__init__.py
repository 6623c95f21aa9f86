"""Attacks on a live service, bounded to seconds: what held, and what once stopped it."""
"""What stopped the service once, again: attacks that are bounded in time and number, on loopback alone."""
