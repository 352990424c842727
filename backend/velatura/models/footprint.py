"""The memory that a model's networks need for a picture of some size, known before the first pass.

Activations are proportional to rows and to places of the latent, since attention is fused (DESIGN.md). So one
count (`velatura.weights.counting`) of one small row says all sizes.
"""

from __future__ import annotations

import logging
from typing import NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import nn

from velatura.weights.counting import counted

from .latent import LatentModel

log = logging.getLogger(__name__)

_COUNTED_SIDE = 16  # of the counted latent: small enough to be quick, large enough for every level
_WORKSPACE = 1.15  # of the count: fragments of the allocator and workspaces of convolutions


class Footprint(NamedTuple):
    """Bytes of activations for one place of a latent.

    Args:
        row: of one row of a pass of the denoising network.
        decode: of decoding one latent.
    """

    row: float
    decode: float

    def needed(self, height: int, width: int, rows: int, tile: int = 0) -> int:
        """Bytes of the activations of an edit, whose passes and decodings come one after the other.

        Args:
            height, width: of the latents.
            rows: of a pass of the denoising network.
            tile: side of the tiles that are decoded; 0: the picture is decoded as a whole.
        """
        places = height * width
        decoded = min(places, tile**2) if tile else places
        return int(_WORKSPACE * max(self.row * rows * places, self.decode * decoded))


_KNOWN: WeakKeyDictionary[nn.Module, Footprint | None] = WeakKeyDictionary()


def footprint(model: LatentModel) -> Footprint | None:
    """The footprint of a model, counted once for each denoising network; None for a network that looks at
    values and so cannot be counted."""
    network = model.networks[model.denoiser]
    if network not in _KNOWN:
        try:
            _KNOWN[network] = _count(model)
        except Exception as error:  # torch raises many classes where a network needs real values
            log.info("the memory of %s cannot be counted: %s", model.id, error)
            _KNOWN[network] = None
    return _KNOWN[network]


def _count(model: LatentModel) -> Footprint:
    step = max(1, model.multiple // model.factor)
    side = -(-_COUNTED_SIDE // step) * step
    condition, shape = model.encode_prompt(""), (1, model.latent_channels, side, side)
    with torch.inference_mode(False):  # fake tensors cannot be made in it
        row = counted(lambda: model.predict(_latent(model, shape), 0.5, condition.clone(), None))
        decode = counted(lambda: model.decode_unchecked(_latent(model, shape)))
    return Footprint(row / side**2, decode / side**2)


def _latent(model: LatentModel, shape: tuple[int, ...]) -> torch.Tensor:
    return torch.empty(shape, dtype=torch.float32, device=model.device)


def weights(model: LatentModel) -> int:
    """Bytes of all weights of a model's networks as they are stored."""
    return sum(x.nbytes for network in model.networks.values() for x in network.parameters())
