"""Augmentation: changes of a reader's training pictures that keep their content."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura_lab.world import ATTRIBUTES

from .data import KIND_NAMES


def sideless() -> Tensor:
    """For each kind of scene, in the order of KIND_NAMES, whether no word tells left from right."""
    return torch.tensor(["side" not in ATTRIBUTES[kind] for kind in KIND_NAMES])


def mirrored(allowed: Tensor, *maps: Tensor) -> list[Tensor]:
    """Maps (N, C, H, W) with half of the rows marked in `allowed` (N,) mirrored, the same in all maps."""
    turn = (torch.rand(len(allowed), device=allowed.device) < 0.5) & allowed
    return [torch.where(turn.view(-1, 1, 1, 1), rows.flip(3), rows) for rows in maps]


def disturb(images: Tensor, strength: float = 1.0) -> Tensor:
    """Pictures (N, 3, s, s) in 0..1, each with its own blur, noise and change of tone; strength in 0..1.

    They teach a network to read a decoder's pictures as well as clean renders.
    """
    n = len(images)

    def each(low: float, high: float) -> Tensor:
        return torch.empty(n, 1, 1, 1, device=images.device).uniform_(low, high)

    soft = F.interpolate(F.avg_pool2d(images, 2), scale_factor=2, mode="bilinear")
    images = torch.lerp(images, soft, strength * each(-0.6, 1.0).clamp(min=0.0))
    gain = 1.0 + 0.05 * strength * torch.randn(n, 3, 1, 1, device=images.device)
    # one noise pattern for all pictures, since drawing it is slow
    noise = strength * each(0.0, 0.05) * torch.randn_like(images[:1])
    return (images * gain + noise).clamp(0.0, 1.0)


def shifted(images: Tensor, most: int = 3) -> Tensor:
    """All pictures moved by the same offset of up to `most` pixels, cyclically."""
    down, right = torch.randint(-most, most + 1, (2,)).tolist()
    return images.roll((down, right), (2, 3))
