"""A picture that a UNet sees in further channels beside the latents that it denoises."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Beside:
    """The picture, encoded once for each size at which it is needed.

    Args:
        image: [1, 3, h, w] in [-1, 1]; None: a grey one.
        mask: [1, 1, h, w], 0 or 1; None: 1 everywhere.
    """

    image: Tensor | None = None
    mask: Tensor | None = None
    _made: dict[tuple[int, int], Tensor] = field(default_factory=dict[tuple[int, int], Tensor])

    def at(self, size: Sequence[int], factor: int, encode: Callable[[Tensor], Tensor]) -> Tensor:
        """The channels beside latents of this size: the latents of the picture, [1, C, h, w], behind the mask
        where there is one or there is no picture.

        A latent pixel is inside of the mask if any of its pixels is: a cell that the picture does not show
        whole is one to paint.

        Args:
            size: h and w.
            factor: side of a latent pixel in pixels.
            encode: gives the latents of a picture.
        """
        h, w = size
        if (h, w) not in self._made:
            self._made[h, w] = self._channels(h, w, factor, encode)
        return self._made[h, w]

    def _channels(self, h: int, w: int, factor: int, encode: Callable[[Tensor], Tensor]) -> Tensor:
        pixels = (h * factor, w * factor)
        image = torch.zeros(1, 3, *pixels) if self.image is None else self.image
        if image.shape[-2:] != pixels:
            image = F.interpolate(image, pixels, mode="bicubic", antialias=True).clamp(-1.0, 1.0)
        latents = encode(image)
        if self.image is not None and self.mask is None:
            return latents
        mask = torch.ones(1, 1, h, w) if self.mask is None else self.mask
        return torch.cat([F.adaptive_max_pool2d(mask.to(latents.device), (h, w)), latents], 1)
