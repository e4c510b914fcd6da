"""Where a training's progress goes beside the store."""
