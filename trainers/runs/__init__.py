"""Finished runs: what each keeps, what it was learned from, how they compare."""
