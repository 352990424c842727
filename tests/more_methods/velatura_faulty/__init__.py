"""A package whose offers cannot be used, each in a way of its own."""
