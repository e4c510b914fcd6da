"""Cores that load, tokenise, run and pool a model; the only part of extractors that trainers may import."""
