"""Optimisation of a few tensors for one picture."""
