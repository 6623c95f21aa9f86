"""Measures EverySkill beside what it is compared with, on one server in one run: `python -m benchmarks`."""
