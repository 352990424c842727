"""Measures whether edits do their task and leave the rest alone: measures, runs and the report."""
