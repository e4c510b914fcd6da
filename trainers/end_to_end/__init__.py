"""The end-to-end job: a speech and a text encoder under the modality-token Transformer (papers/003 section 3.3)."""
