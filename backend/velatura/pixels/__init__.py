"""Arithmetic of pixels that layers, files and methods share. Imports NumPy only."""
