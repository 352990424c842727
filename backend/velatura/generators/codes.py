"""A generator whose latents are places of a grid, each read as the nearest of K codes. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from .protocol import Generator

if TYPE_CHECKING:
    from torch import Tensor

VQ = "vq"
"""The kind of these generators (van den Oord et al. 2017, VQ-VAE; Esser et al. 2021, VQGAN)."""


class CodeGenerator(Generator, Protocol):
    """A VQ-VAE or VQGAN. `encode` gives latents [N, D, h, w] before quantisation, and `decode` quantises."""

    @property
    def codes(self) -> Tensor:
        """The codebook [K, D], float32."""
        ...

    def quantise(self, z: Tensor) -> Tensor:
        """The nearest code of each place, [N, D, h, w], with the gradient of z (straight-through)."""
        ...

    def picture(self, z: Tensor) -> Tensor:
        """As `decode`, with a gradient: the pictures [N, 3, h, w] in [-1, 1] of the codes nearest to z."""
        ...
