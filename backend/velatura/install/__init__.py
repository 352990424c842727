"""Puts the plugins into the profiles of Krita and GIMP, removes them, and finds faults of an installation."""
