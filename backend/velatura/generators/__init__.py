"""What pictures are made and edited with, whatever kind of network it is."""
