"""Diffusion models: which there are, how they are loaded, and what the editing mathematics sees of one."""
