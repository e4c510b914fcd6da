"""Made-up corpora in the real ones' layouts, for tests and for trying things without a licence."""
