"""The text encoder job: a sentence encoder fine-tuned on balanced emotion corpora (papers/000 III-B1c)."""
