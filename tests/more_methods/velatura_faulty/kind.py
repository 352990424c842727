"""A kind of model that cannot be loaded."""

KIND = "nothing"
