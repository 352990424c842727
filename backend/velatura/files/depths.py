"""Depths of pixels: their names on the wire, and the value of white and of full opacity."""

from __future__ import annotations

import numpy as np

TYPES = {"u8": np.uint8, "u16": np.uint16, "f16": np.float16, "f32": np.float32}


def name_of(dtype: np.dtype) -> str:
    """The depth as the protocol names it. Raises ValueError for a type that no picture has here."""
    for name, kind in TYPES.items():
        if dtype == np.dtype(kind):
            return name
    raise ValueError(f"no picture has pixels of {dtype}")


def full_of(dtype: np.dtype) -> int:
    """The value of white and of full opacity: the largest of integers, 1 of floats."""
    return int(np.iinfo(dtype).max) if dtype.kind == "u" else 1
