"""The side of a model's pictures, from its configuration. Imports no torch."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from velatura.weights.json_files import read_object
from velatura_protocol.rasters import MAX_SIDE

_MOST_LEVELS = 8  # of an autoencoder; each halves the picture, and published ones have 4


def size(path: str) -> int:
    """The side of the model's pictures in pixels, from the UNet's configuration; 0 if that is not there.

    Raises ValueError for values that no model can have.
    """
    try:
        unet, vae = (_configuration(path, part) for part in ("unet", "vae"))
    except OSError:
        return 0
    channels = vae.get("block_out_channels") or vae.get("encoder_block_out_channels")
    side = unet.get("sample_size")
    if side is None or channels is None:
        return 0
    sides = side if isinstance(side, list) else [side]
    if not isinstance(channels, list) or not 1 <= len(channels) <= _MOST_LEVELS:
        raise ValueError("vae/config.json has no block_out_channels that a network could have")
    if not (0 < len(sides) <= 2 and all(type(one) is int and 0 < one <= MAX_SIDE for one in sides)):
        raise ValueError("unet/config.json has no sample_size that a picture could have")
    size = min(sides) * 2 ** (len(channels) - 1)
    if size > MAX_SIDE:
        raise ValueError(f"its pictures would have {size} pixels a side")
    return size


def _configuration(path: str, part: str) -> dict[str, Any]:
    try:
        return read_object(Path(path, part, "config.json"))
    except ValueError as error:
        raise ValueError(f"{part}/config.json: {error}") from None
