"""The laboratory: the embedded model's world and training, and the measurement of methods."""
