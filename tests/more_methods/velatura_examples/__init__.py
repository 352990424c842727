"""A package outside Velatura that offers methods, and a kind of model that is no diffusion model.

It is built and installed as any such package is (`tests.more_methods`)."""
