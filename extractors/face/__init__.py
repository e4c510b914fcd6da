"""Extractors of faces."""
