"""Examines trained models and readers on held-out scenes, which no training step saw."""
