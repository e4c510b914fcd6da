"""Readers: one corpus's files in, one manifest row per utterance out; a new corpus is a new file here."""
