"""What is learned: adapters, metrics, protocols and runs over stored features."""
