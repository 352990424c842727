"""Edits by a style-based generator: its codes are moved, and the picture follows."""
