"""What is stored: manifest, recipes, feature tables, mirror, pull, faults, and the Feast repository."""
