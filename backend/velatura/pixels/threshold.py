"""A map of how sure something is, as a mask."""

from __future__ import annotations

from typing import Any


def soft_threshold(values: Any, threshold: float, softness: float) -> Any:
    """A mask in [0, 1] of an array (NumPy or torch) of any shape: 1/2 where a value is `threshold`, rising
    over `softness` in all, in the values' own unit. Below 0.001 the edge is taken to be as narrow as that."""
    return ((values - threshold) / max(softness, 1e-3) + 0.5).clip(0.0, 1.0)
