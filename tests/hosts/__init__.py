"""Drivers that run the real Krita and the real GIMP for tests."""
