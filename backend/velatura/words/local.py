"""Local blend: the edit stays where its words are (Hertz et al. 2022, section 3.2, "local editing")."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.attention.places import halved

from .control import Words


@dataclass(frozen=True)
class LocalBlend:
    """words: groups of tokens, [T, 2] for each prompt: the words that change, and those to be left alone.

    threshold: k, of a map's maximum, in [0, 1]. start: the first step after which it holds.
    """

    words: Words
    threshold: float
    start: int

    def to(self, device: torch.device) -> LocalBlend:
        """The same on a device."""
        return replace(self, words=Words(*(w.to(device) for w in self.words)))

    def mask(self, source: Tensor, target: Tensor, size: tuple[int, int]) -> Tensor:
        """Where the target may differ, bool [B, 1, h, w], from summed maps [B, 2, h', w'] of each prompt."""
        changes, kept = _above(source, self.threshold, size) | _above(target, self.threshold, size)
        return (changes & ~kept).unsqueeze(1)


def _above(maps: Tensor, k: float, size: tuple[int, int]) -> Tensor:
    """[2, B, h, w]: the published steps: 3 x 3 maximum, nearest resampling, division by the maximum, > k.

    A group without words has an empty map, and is nowhere.
    """
    maps = F.interpolate(F.max_pool2d(maps.float(), 3, stride=1, padding=1), size)
    top = maps.amax((2, 3), keepdim=True)
    return ((maps > k * top) & (top > 0.0)).transpose(0, 1)


class MapSums:
    """Maps of words summed over a run's steps and places: [B, n, h', w'], the mean over heads of each."""

    def __init__(self, height: int, width: int) -> None:
        self.grid = height, width
        self.source: Tensor | None = None
        self.target: Tensor | None = None

    def add(self, source: Tensor | None, target: Tensor | None) -> None:
        """source, target: [B, heads, places, n] of one place."""
        self.source = self._plus(self.source, source)
        self.target = self._plus(self.target, target)

    def _plus(self, total: Tensor | None, maps: Tensor | None) -> Tensor | None:
        if maps is None:
            return total
        maps = maps.float().mean(1).transpose(1, 2).unflatten(-1, self.grid)
        return maps if total is None else total + maps


def map_level(trained: int, levels: Sequence[int]) -> int:
    """The level at which maps of words are gathered: of those that have cross-attention, the one whose side
    is nearest to 16 where the network sees latents of the size it was trained on. There the published maps of
    512-pixel models are taken. trained: side of those latents. levels: see `places.levels`."""
    return min(levels, key=lambda level: abs(halved(trained, level) - 16))
