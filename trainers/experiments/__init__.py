"""Experiment files: a row of the papers' tables each, and the papers' cells."""
