"""Where the words of a caption are in a picture: their cross-attention maps, as masks.

Hertz et al. 2022, section 3: the map of a word is softmax(Q K^T / sqrt(d)) in the word's column, mean over
heads and places. Here they are those of a given picture, at a noise level where the layout is decided, as a
mean over several noises."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.attention.columns import attend
from velatura.attention.joint import Blocks, picture, word_columns
from velatura.attention.places import Place, halved, map_level
from velatura.diffusion.condition import Condition
from velatura.diffusion.denoiser import denoise
from velatura.diffusion.network import LatentDiffusion
from velatura.pixels.threshold import soft_threshold


def word_maps(
    model: LatentDiffusion,
    z0: Tensor,
    c: Condition,
    groups: Tensor,
    sigma: float,
    noises: Sequence[Tensor],
    after_noise: Callable[[int], None],
    refine: int = 1,
) -> Tensor:
    """The maps [n, h', w'] of n groups of tokens, in [0, 1]: the probability of a group's tokens.

    Args:
        model: the network whose attention is read.
        z0: [1, C, h, w], the picture's latents.
        c: the picture's caption, one row of L tokens.
        groups: [L, n] of 0 and 1.
        sigma: the noise level.
        noises: each [1, C, h, w].
        after_noise: called with i after pass i, from 1.
        refine: how often maps are spread along self-attention, m <- M_self m (Wang et al. 2023,
            arXiv:2309.02773, eq. 5). Places that look alike then share a word, so the maps follow edges much
            better.
    """
    latent = z0.shape[-2], z0.shape[-1]
    at = map_level(model.latent_size, model.attention_levels)
    size = tuple(halved(side, at) for side in latent)
    groups, blocks = groups.to(model.device), model.joint_blocks or Blocks()
    total = torch.zeros(groups.shape[1], *size, device=model.device)
    for i, n in enumerate(noises, 1):
        crossed: list[Tensor] = []
        selves: list[tuple[Tensor, Tensor]] = []

        def look(place: Place, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            if place.level != at or (place.kind == "joint" and not blocks.reads(place.name)):
                return F.scaled_dot_product_attention(q, k, v)
            if place.kind == "joint":  # its picture's part stands for self-attention
                selves.append((picture(place, q), picture(place, k)))  # noqa: B023
                crossed.append(word_columns(place, q, k, groups)[0].float().mean(0))  # noqa: B023
                return F.scaled_dot_product_attention(q, k, v)
            if place.kind == "self":
                selves.append((q, k))  # noqa: B023 - called within this iteration
                return F.scaled_dot_product_attention(q, k, v)
            out, maps = attend(q, k, v, groups)
            crossed.append(maps[0].float().mean(0))  # noqa: B023
            return out

        denoise(model, z0 + sigma * n, sigma, c, look)
        maps = torch.stack(crossed).mean(0)  # [places, n]
        for _ in range(refine):
            spread = [attend(q, k, None, maps)[1][0].float().mean(0) for q, k in selves]
            maps = torch.stack(spread).mean(0)
        total += maps.T.unflatten(-1, size)
        after_noise(i)
    return total / len(noises)


def as_mask(map: Tensor, size: tuple[int, int], threshold: float, softness: float) -> Tensor:
    """A map [h', w'] as a mask [H, W] in [0, 1]: 1/2 where the map is `threshold` of its maximum, with an
    edge as wide as `softness` of the maximum. A map of zeros selects nothing. size: (H, W)."""
    large = F.interpolate(map[None, None], size, mode="bicubic", antialias=False)[0, 0]
    top = large.amax()
    relative = large / top.clamp(min=1e-12)
    return soft_threshold(relative, threshold, softness) * (top > 0.0)
