"""The small CLIP (Radford et al. 2021) of the package, which tells how well words fit a picture."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from velatura.bundles import BUNDLES
from velatura.companions.clip import Encoder, load_encoder
from velatura.companions.processing import DEVIATION, MEAN

BUNDLE = BUNDLES / "velatura-clip"


def normalise(images: Tensor) -> Tensor:
    """Pictures (N, 3, H, W) in 0..1, normalised as by CLIP's image processor."""
    mean = torch.tensor(MEAN, device=images.device).view(3, 1, 1)
    return (images - mean) / torch.tensor(DEVIATION, device=images.device).view(3, 1, 1)


def load_clip(folder: Path = BUNDLE) -> Encoder:
    """The package's CLIP, or another in transformers' format.  Raises the error `unknown-model`."""
    # an absolute path cannot be an id at the hub
    return load_encoder(str(folder.absolute()), torch.device("cpu"), torch.float32)
