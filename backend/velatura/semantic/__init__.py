"""Semantic guidance (SEGA): concepts as directions in the predicted noise. See DESIGN.md."""
