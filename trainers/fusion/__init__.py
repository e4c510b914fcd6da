"""Fusion: models over named slots, of which a row may have any; they know no store."""
