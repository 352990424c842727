"""The network of a model of eigenpictures."""

from __future__ import annotations

import torch
from torch import Tensor

from velatura.generators.protocol import Generator

from .eigenpictures import KIND


class Eigenpictures(Generator):
    """D(w) = mean + sum_j w_j b_j, E(x)_j = <x - mean, b_j>."""

    kind = KIND

    def __init__(
        self, id: str, digest: str, mean: Tensor, basis: Tensor, device: torch.device, dtype: torch.dtype
    ) -> None:
        """mean: [3, S, S]. basis: [d, 3, S, S], orthonormal."""
        self.id, self.digest, self.device, self.dtype = id, digest, device, dtype
        self._mean, self._basis = mean.to(device), basis.to(device)

    @property
    def size(self) -> int:
        return self._mean.shape[-1]

    @property
    def multiple(self) -> int:
        """It knows pictures of one size only."""
        return self.size

    def encode(self, image: Tensor) -> Tensor:
        """[N, 3, S, S] to [N, d]."""
        return torch.einsum("nchw,dchw->nd", image - self._mean, self._basis)

    def decode(self, z: Tensor) -> Tensor:
        """[N, d] to [N, 3, S, S]."""
        return (self._mean + torch.einsum("nd,dchw->nchw", z, self._basis)).clamp(-1.0, 1.0)
