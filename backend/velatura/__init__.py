"""Velatura: semantic image editing for artists, inside the editors they already use."""

__version__ = "0.1.0"
