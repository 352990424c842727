"""Editing by concepts: each is a term of guidance with a strength, a place and a window of steps."""
