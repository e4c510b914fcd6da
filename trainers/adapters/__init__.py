"""The adapters: pooled vectors of any views to a layer that tells emotions."""
