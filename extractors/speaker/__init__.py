"""Extractors of who speaks."""
