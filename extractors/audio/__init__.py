"""The sound itself, stored for training."""
