"""Protocols: which rows train, which select and which are scored."""
