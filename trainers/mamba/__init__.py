"""Selective state spaces: Mamba and Mamba-2 blocks, and the scans that they stand on."""
