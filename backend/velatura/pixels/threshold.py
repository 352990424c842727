"""Turns a map of scores into a mask."""

from __future__ import annotations

from typing import Any


def soft_threshold(values: Any, threshold: float, softness: float) -> Any:
    """A mask in [0, 1] of the array's shape: 1/2 where a value equals `threshold`.

    Args:
        values: an array of NumPy or torch, of any shape.
        threshold: in the unit of `values`.
        softness: the width of the rise from 0 to 1, in the unit of `values`; at least 0.001 is used.
    """
    return ((values - threshold) / max(softness, 1e-3) + 0.5).clip(0.0, 1.0)


def selects(mask: Any, within: Any) -> bool:
    """Whether a found mask selects a pixel of a selection by half or more.

    The selection's own opacity does not count: it is that of the result.

    Args:
        mask: an array of NumPy or torch, values in [0, 1].
        within: the selection, of the mask's size, values in [0, 1].
    """
    return bool((mask * (within > 0.0)).max() >= 0.5)
