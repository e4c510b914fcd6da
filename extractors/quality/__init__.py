"""Quality control: what is derived from stored features to tell which utterances can be trusted (papers/000 III-D)."""
