"""Families of networks that no fixed package has; their loaders stand beside them."""
