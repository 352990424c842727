"""Examines trained models and readers on scenes that no training step saw."""
