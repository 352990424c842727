"""The files of a model of pixel space: a diffusers folder with `unet` and `scheduler`. Imports no torch."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from velatura.weights.json_files import read_object
from velatura_protocol.rasters import MAX_SIDE

_COLOURS = 3


def recognise(folder: Path) -> int | None:
    """The side in pixels of the pictures of the model in this folder; None where there is no such model.

    Raises ValueError for values that no model can have.
    """
    try:
        config: dict[str, Any] = read_object(folder / "unet" / "config.json")
    except (OSError, ValueError):
        return None
    if config.get("_class_name") != "UNet2DModel":
        return None
    side, channels = config.get("sample_size"), config.get("in_channels")
    if type(side) is not int or type(channels) is not int:
        raise ValueError("unet/config.json has no sample_size and in_channels that a network could have")
    size = side * patch(channels)
    if not 0 < size <= MAX_SIDE:
        raise ValueError(f"its pictures would have {size} pixels a side")
    return size


def patch(channels: int) -> int:
    """The side in pixels of a place of a network of pixel space, which sees a square of pixels as one place.

    Raises ValueError where no square of 3 colours a pixel has so many channels.
    """
    side = math.isqrt(max(channels, 0) // _COLOURS)
    if side < 1 or _COLOURS * side * side != channels:
        raise ValueError(f"a network of {channels} channels, which no square of pixels has")
    return side
