"""Noise that depends on the seed alone, and neither on the batch nor on the device."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import count

import torch
from torch import Tensor


def looks(seed: int, n: int, like: Tensor) -> list[Tensor]:
    """n noises, each [1, C, h, w] as `like` and of its own seed, counted from `seed` upwards."""
    seeds = [(seed + i) % 2**31 for i in range(n)]
    return list(standard_normal(seeds, like.shape[1:]).to(like).split(1))


def standard_normal(seeds: Sequence[int], shape: Sequence[int]) -> Tensor:
    """n ~ N(0, I), [len(seeds), *shape] float32 on the CPU, with one generator a seed."""
    return torch.stack(
        [torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    )


def stream(seeds: Sequence[int], shape: Sequence[int]) -> Iterator[Tensor]:
    """Endless noise [len(seeds), *shape] float32 on the CPU, with one generator a seed, which begins behind
    the noise of `standard_normal`."""
    generators = [torch.Generator().manual_seed(seed) for seed in seeds]
    for number in count():
        drawn = torch.stack([torch.randn(tuple(shape), generator=one) for one in generators])
        if number:
            yield drawn
