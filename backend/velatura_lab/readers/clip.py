"""How well words fit a picture: the small CLIP (Radford et al. 2021) that ships, in transformers' format."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from velatura.bundles import BUNDLES
from velatura.companions.clip import Encoder, load_encoder
from velatura.companions.processing import DEVIATION, MEAN

BUNDLE = BUNDLES / "velatura-clip"


def normalise(images: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) in 0..1 as CLIP's image processor hands them on."""
    mean = torch.tensor(MEAN, device=images.device).view(3, 1, 1)
    return (images - mean) / torch.tensor(DEVIATION, device=images.device).view(3, 1, 1)


def load_clip(folder: Path = BUNDLE) -> Encoder:
    """The CLIP shipped with the package, or another in transformers' format. Raises `unknown-model`."""
    # an absolute path is never taken for an id at the hub
    return load_encoder(str(folder.absolute()), torch.device("cpu"), torch.float32)
