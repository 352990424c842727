"""Models that make and edit pictures, of any kind of network."""
