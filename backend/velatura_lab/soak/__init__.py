"""A campaign against a real daemon: kills and faults on purpose, and what became of every job."""
