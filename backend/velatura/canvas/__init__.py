"""From a layer's own bytes to the picture a model sees, and back: colour, region, paste. No torch, no
model."""
