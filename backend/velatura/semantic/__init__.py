"""Editing by concepts (SEGA, LEDITS++): each is a direction in the predicted noise, with a strength, places
and a window of steps. See DESIGN.md."""
