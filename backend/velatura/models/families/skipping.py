"""Steps of a transformer that are computed in part, by the first-block cache of diffusers.

The first block is computed in every pass. Where what it adds differs from what it added in the last whole
pass by less than a tolerance (mean absolute difference, as a share), the other blocks add what they added
then (First Block Cache of ParaAttention; its measure is TeaCache's, Liu et al. 2024, arXiv:2411.19108).
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import cast

from diffusers.hooks.first_block_cache import FirstBlockCacheConfig
from diffusers.models.cache_utils import CacheMixin
from torch import nn


@contextmanager
def skipping(network: nn.Module, tolerance: float) -> Generator[None]:
    """See `LatentDiffusion.skipping`."""
    if tolerance <= 0.0:
        yield
        return
    cached = cast(CacheMixin, network)
    cached.enable_cache(FirstBlockCacheConfig(tolerance))
    try:
        with cached.cache_context("run"):
            yield
    finally:
        cached.disable_cache()
