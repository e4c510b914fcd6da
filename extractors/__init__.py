"""How it is computed: media decoding, encoders, one module per kind of extractor, corpora, and the runner."""
