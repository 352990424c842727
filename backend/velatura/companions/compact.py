"""A small network that enlarges pictures: the compact form of Real-ESRGAN.

Wang et al. 2021, "Real-ESRGAN: Training Real-World Blind Super-Resolution with Pure Synthetic Data"; the
layout `SRVGGNetCompact` of its later models. All convolutions work at the small picture's size, and the last
one's channels become pixels (Shi et al. 2016). The names and shapes of the weights are those of that layout,
so that spandrel reads them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch.nn.functional as F
from torch import Tensor, nn


class Compact(nn.Module):
    """Pictures [N, 3, h, w] in [0, 1] -> [N, 3, scale h, scale w], not clipped.

    Args:
        features: channels between the convolutions.
        convolutions: their number between the first and the last.
        scale: the factor of enlarging.
    """

    def __init__(self, features: int = 40, convolutions: int = 8, scale: int = 4) -> None:
        super().__init__()
        self.scale = scale
        layers: list[nn.Module] = [nn.Conv2d(3, features, 3, padding=1), nn.PReLU(features)]
        for _ in range(convolutions):
            layers += [nn.Conv2d(features, features, 3, padding=1), nn.PReLU(features)]
        self.body = nn.Sequential(*layers, nn.Conv2d(features, 3 * scale**2, 3, padding=1))

    def forward(self, pictures: Tensor) -> Tensor:
        """The network adds what the nearest pixels lack."""
        nearest = F.interpolate(pictures, scale_factor=self.scale, mode="nearest")
        return nearest + F.pixel_shuffle(self.body(pictures), self.scale)

    @property
    def reach(self) -> int:
        """The distance in pixels of the small picture up to which a pixel's surroundings matter."""
        return sum(isinstance(layer, nn.Conv2d) for layer in self.body)

    @staticmethod
    def of(weights: Mapping[str, Tensor]) -> Compact:
        """The network of these weights. Raises KeyError, ValueError or RuntimeError for other weights."""
        last = max(int(name.split(".")[1]) for name in weights)
        outputs = weights[f"body.{last}.weight"].shape[0]
        scale = math.isqrt(outputs // 3)
        if last % 2 or outputs != 3 * scale**2:
            raise ValueError("the weights are of no compact network that enlarges")
        network = Compact(weights["body.0.weight"].shape[0], last // 2 - 1, scale)
        network.load_state_dict(dict(weights))
        return network
