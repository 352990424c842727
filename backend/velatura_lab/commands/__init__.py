"""`velatura train`, `evaluate` and `bench`, offered to the command line by entry points."""
