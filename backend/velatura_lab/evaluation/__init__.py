"""How well edits do what they are asked to and leave the rest alone: measures, runs and the report."""
