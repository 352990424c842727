"""Noise that depends on the seed alone: not on the batch a variation runs in, nor on the device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


def standard_normal(seeds: Sequence[int], shape: Sequence[int]) -> Tensor:
    """n ~ N(0, I), [len(seeds), *shape] float32 on the CPU, one generator a seed."""
    return torch.stack(
        [torch.randn(tuple(shape), generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    )
