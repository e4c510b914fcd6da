"""A trained model on rows of its store, and on clips that the store has never seen."""
