"""Local blend: the edit stays where its words are (Hertz et al. 2022, section 3.2, "local editing")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.attention.places import halved

from .control import Words


@dataclass(frozen=True)
class LocalBlend:
    """words: two groups of tokens for each prompt: the words that change, and those to be left alone.

    threshold: k, of a map's maximum, in [0, 1). start: the first step after which it holds.
    """

    words: Words
    threshold: float
    start: int

    def mask(self, maps: Tensor, size: tuple[int, int]) -> Tensor:
        """Where the target may differ, bool [B, 1, h, w], from summed maps [B, 4, h', w']: both groups of one
        prompt, then of the other.

        The published steps: 3 x 3 maximum, nearest resampling, division by the maximum, > k. A group without
        words has an empty map, and is nowhere.
        """
        maps = F.interpolate(F.max_pool2d(maps, 3, stride=1, padding=1), size)
        top = maps.amax((2, 3), keepdim=True)
        above = (maps > self.threshold * top) & (top > 0.0)
        changes, kept = above.unflatten(1, (2, 2)).any(1, keepdim=True).unbind(2)
        return changes & ~kept


class MapSums:
    """Maps of words summed over a run's steps and places, the mean over heads of each."""

    def __init__(self, height: int, width: int) -> None:
        self.grid = height, width
        self.total: Tensor | None = None

    def add(self, maps: Tensor) -> None:
        """maps: [B, heads, places, n] of one place, in the network's dtype."""
        maps = maps.mean(1, dtype=torch.float32)
        self.total = maps if self.total is None else self.total + maps

    def maps(self) -> Tensor:
        """[B, n, h', w'] float32."""
        return self.total.transpose(1, 2).unflatten(-1, self.grid)


def map_level(trained: int, levels: Sequence[int]) -> int:
    """The level at which maps of words are gathered: of those that have cross-attention, the one whose side
    is nearest to 16 where the network sees latents of the size it was trained on. There the published maps of
    512-pixel models are taken. trained: side of those latents. levels: see
    `LatentDiffusion.attention_levels`."""
    return min(levels, key=lambda level: abs(halved(trained, level) - 16))
