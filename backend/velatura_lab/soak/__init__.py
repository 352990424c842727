"""A campaign against a real daemon: kills and faults on purpose, and a judgement of what became of every job."""
