"""From a layer's own bytes to the picture that a model sees, and back. Imports no torch and no model."""
