"""Speech recognition: what was said, as records."""
