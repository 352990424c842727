"""The identity encoder: a unit vector for the person in a portrait, stable under edits."""

from __future__ import annotations

from pathlib import Path

import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from velatura.bundles import BUNDLES
from velatura.weights.json_files import read_object

from .judge import CHANNELS, Residual, convolutions
from .pictures import fit

BUNDLE = BUNDLES / "velatura-identity"
DIMENSION = 64
WIDTH = 64  # channels at each place before the linear map


class IdentityEncoder(nn.Module):
    """Strided convolutions, then one linear map of the features at all places.

    There is no pooling over places, since proportions distinguish faces.
    """

    def __init__(
        self, channels: tuple[int, ...] = CHANNELS, width: int = WIDTH, dimension: int = DIMENSION
    ) -> None:
        super().__init__()
        self.body = convolutions(channels)
        self.narrow = nn.Sequential(nn.Conv2d(channels[-1], width, 1), nn.SiLU(), Residual(width))
        side = 128 >> len(channels)
        self.project = nn.Linear(width * side * side, dimension)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, 128, 128) in 0..1 -> (N, dimension), not yet of unit length."""
        return self.project(self.narrow(self.body(images * 2.0 - 1.0)).flatten(1))

    def embed(self, images: Tensor) -> Tensor:
        """Portraits (N, 3, H, W) in 0..1 -> unit vectors (N, dimension), differentiable."""
        return F.normalize(self(fit(images)), dim=-1)

    def similarity(self, a: Tensor, b: Tensor) -> Tensor:
        """Cosines (N,) between portraits pair by pair, in -1..1."""
        return (self.embed(a) * self.embed(b)).sum(-1)


def load_identity(folder: Path = BUNDLE) -> IdentityEncoder:
    """The package's identity encoder, or the one in `folder`."""
    config = read_object(folder / "config.json")
    encoder = IdentityEncoder(tuple(config["channels"]), config["width"], config["dimension"])
    state = load_file(folder / "identity.safetensors")
    encoder.load_state_dict({key: value.float() for key, value in state.items()}, strict=False)
    return encoder.eval().requires_grad_(False)


def same_person_threshold(folder: Path = BUNDLE) -> float:
    """The cosine at equal error rate; two portraits above it are likelier of one person than of two."""
    return float(read_object(folder / "config.json")["threshold"])
