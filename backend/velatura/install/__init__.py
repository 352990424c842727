"""Puts the plugins into the profiles of Krita and GIMP, takes them out again, and says what is wrong."""
