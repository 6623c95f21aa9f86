"""Attacks on a live service, bounded to seconds: what held, and what once stopped it."""
