"""Diffusion models: the catalogue, loading, and the interface to the editing mathematics."""
