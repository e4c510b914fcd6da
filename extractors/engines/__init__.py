"""Engines: where an extraction computes, other than in this process."""
