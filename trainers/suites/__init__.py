"""Suites: named variants of an experiment, run, gathered and compared."""
