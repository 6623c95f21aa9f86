"""Faults at length: writers in several processes, one fault after the other, and a count of what was lost.

`python -m faults --minutes 10` prints each round and a table at the end; docs/reliability.md tells what it saw.
"""
