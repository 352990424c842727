"""The identity encoder: a unit vector for the person in a portrait, stable under edits."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from .convolutions import CHANNELS, Residual, convolutions
from .opening import opened, place
from .processing import Processing, read_processing

SIDE = 128
DIMENSION = 64
WIDTH = 64  # channels at each place before the linear map
_HALF = (0.5, 0.5, 0.5)  # mean and deviation where a vision network states none


class Identity(Protocol):
    """A network that tells faces apart."""

    def images(self, pictures: Tensor) -> Tensor:
        """Unit vectors [N, d] float32 of portraits [N, 3, h, w] in [0, 1], differentiable."""
        ...


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
        side = SIDE >> len(channels)
        self.project = nn.Linear(width * side * side, dimension)

    def forward(self, images: Tensor) -> Tensor:
        """Images (N, 3, 128, 128) in 0..1 -> (N, dimension), not yet of unit length."""
        return self.project(self.narrow(self.body(images * 2.0 - 1.0)).flatten(1))

    def images(self, pictures: Tensor) -> Tensor:
        """Portraits (N, 3, H, W) in 0..1 -> unit vectors (N, dimension), differentiable."""
        x = pictures.float()
        if x.shape[-2:] != (SIDE, SIDE):
            x = F.interpolate(x, (SIDE, SIDE), mode="bilinear", antialias=True)
        return F.normalize(self(x.to(self.project.weight.dtype)).float(), dim=-1)

    def similarity(self, a: Tensor, b: Tensor) -> Tensor:
        """Cosines (N,) between portraits pair by pair, in -1..1."""
        return (self.images(a) * self.images(b)).sum(-1)


@dataclass
class VisionEncoder:
    """A vision network of transformers, by its pooled vector."""

    network: Any
    processing: Processing

    def images(self, pictures: Tensor) -> Tensor:
        """See `Identity`."""
        x = self.processing(pictures).to(next(self.network.parameters()).dtype)
        return F.normalize(self.network(pixel_values=x).pooler_output.float().flatten(1), dim=-1)


def read_identity(folder: Path, config: dict[str, Any]) -> IdentityEncoder:
    """The encoder of a folder in Velatura's own layout, with this config.json."""
    encoder = IdentityEncoder(tuple(config["channels"]), config["width"], config["dimension"])
    state = load_file(folder / "identity.safetensors")
    missing, unknown = encoder.load_state_dict({k: x.float() for k, x in state.items()}, strict=False)
    if unknown or any(not name.endswith("num_batches_tracked") for name in missing):
        raise ValueError("the weights are of another network")
    return encoder.eval().requires_grad_(False)


def load_identity(path: str, device: torch.device, dtype: torch.dtype) -> Identity:
    """Loads an identity encoder.

    Args:
        path: a folder or hub id of the layout of `velatura-identity`, or of a vision network of transformers
            with a pooled vector (ViT, ConvNeXt, ResNet), which should be one that was fine-tuned on faces.
            Weights are read from .safetensors only.
        device: the device to run on.
        dtype: of the weights.

    Raises `unknown-model`.
    """
    with opened("identity encoder", path) as (folder, config):
        if "model_type" not in config:
            encoder = read_identity(folder, config).to(dtype)
            place(encoder, device, "identity encoder")
            return encoder
        from transformers import AutoModel  # slow to import

        network = AutoModel.from_pretrained(folder, local_files_only=True, use_safetensors=True, dtype=dtype)
        side = getattr(network.config, "image_size", None) or 224
        processing = read_processing(folder, int(side), device, _HALF, _HALF)
        place(network, device, "identity encoder")
        found = VisionEncoder(network, processing)
        with torch.no_grad():
            found.images(torch.zeros(1, 3, processing.side, processing.side, device=device))
        return found
