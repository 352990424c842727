"""Edits of pictures by the codes of a style-based generator. Its palette imports no torch."""
