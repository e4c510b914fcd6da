"""Extractors of how it is spoken."""
