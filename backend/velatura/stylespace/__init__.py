"""Edits in the spaces of a style-based generator: a layer's face, its code, and ways to move the code."""
