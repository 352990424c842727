"""Local blend: the edit stays where its words are (Hertz et al. 2022, section 3.2, "local editing")."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .control import Words, needed


@dataclass(frozen=True)
class LocalBlend:
    """The words and the threshold of local blend.

    Args:
        words: two groups of tokens for each prompt: the words that change, and the words to leave alone.
        threshold: k, a share of a map's maximum, in [0, 1).
        start: the first step after which the blend applies.
    """

    words: Words
    threshold: float
    start: int

    def mask(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """Where the target may differ, bool [B, 1, h, w].

        maps: summed maps [B, 4, h', w'], both groups of one prompt, then of the other. size: (h, w). The
        steps
        are the published ones: 3 x 3 maximum, nearest resampling, division by the maximum, > k. A group
        without words has a map of zeros and selects nothing.
        """
        maps = F.interpolate(F.max_pool2d(maps, 3, stride=1, padding=1), size)
        top = maps.amax((2, 3), keepdim=True)
        above = (maps > self.threshold * top) & (top > 0.0)
        changes, kept = above.unflatten(1, (2, 2)).any(1, keepdim=True).unbind(2)
        return changes & ~kept


class MapSums:
    """Maps of words, each the mean over heads, summed over a run's steps and places."""

    def __init__(self, height: int, width: int) -> None:
        self.grid = height, width
        self.total: Tensor | None = None

    def add(self, maps: Tensor) -> None:
        """maps: [B, heads, places, n] of one place, in the network's dtype."""
        maps = maps.mean(1, dtype=torch.float32)
        self.total = maps if self.total is None else self.total + maps

    def maps(self) -> Tensor:
        """The sums [B, n, h', w'] float32. Raises ValueError before the first `add`."""
        return needed(self.total).transpose(1, 2).unflatten(-1, self.grid)
