"""The network that paints an edit layer: one picture in, colour and alpha out, trained on that picture."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from velatura.diffusion import noise

WIDTH = 32  # channels at every resolution; published: 128, at 7 resolutions
SKIP = 4  # channels that go around each lower resolution
LEVELS = 5


class Painter(nn.Module):
    """A U-Net from a picture [1, 3, h, w] in [0, 1] to a layer [1, 4, h, w] in [0, 1], colour and alpha.

    As in Bar-Tal et al. 2022 (appendix A.1): five resolutions here, thin skips, so that the lower ones are
    needed, and a sigmoid at the end.

    Args:
        seed: of the first weights, which are the same on every device.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            inner = [3, *[WIDTH] * (LEVELS - 1)]
            self.skips = nn.ModuleList(_block(n, SKIP, 1) for n in inner)
            self.downs = nn.ModuleList(
                nn.Sequential(_block(n, WIDTH, 3, stride=2), _block(WIDTH, WIDTH, 3)) for n in inner
            )
            self.ups = nn.ModuleList(
                nn.Sequential(_block(WIDTH + SKIP, WIDTH, 3), _block(WIDTH, WIDTH, 1)) for _ in inner
            )
            self.out = nn.Conv2d(WIDTH, 4, 1)

    def forward(self, picture: Tensor) -> Tensor:
        x, around = picture, list[Tensor]()
        for skip, down in zip(self.skips, self.downs, strict=True):
            around.append(skip(x))
            x = down(x)
        for side, up in zip(reversed(around), reversed(self.ups), strict=True):
            x = F.interpolate(x, side.shape[-2:], mode="bilinear")
            x = up(torch.cat([x, side], dim=1))
        return self.out(x).sigmoid()


def begun_painter(seed: int) -> Painter:
    """A painter with the first weights of a seed; of a `noise.Seed`, between those of its path. Weights that
    are alike for all seeds stay so."""
    if not isinstance(seed, noise.Seed):
        return Painter(seed)
    made = Painter(seed)
    with torch.no_grad():
        for other, share in seed.turns:
            for a, b in zip(made.parameters(), Painter(other).parameters(), strict=True):
                if not torch.equal(a, b):
                    a.copy_(noise.turned(a, b, share))
    return made


class _Normalised(nn.Module):
    """Batch normalisation of a batch of one: each channel by its own mean and deviation over the places."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor) -> Tensor:
        var, mean = torch.var_mean(x, (2, 3), correction=0, keepdim=True)
        scale = self.weight[:, None, None] * (var + 1e-5).rsqrt()
        return x * scale + (self.bias[:, None, None] - mean * scale)


def _block(channels: int, to: int, kernel: int, *, stride: int = 1) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(
            channels, to, kernel, stride, kernel // 2, padding_mode="replicate" if kernel > 1 else "zeros"
        ),
        _Normalised(to),
        nn.LeakyReLU(0.2),
    )
