"""Fitting a model to one layer: low-rank adaptation (LoRA), and Imagic's two fits."""
