"""A square of a picture, taken at a model's size and put back: of any fraction of pixels, and of any tilt."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

FEATHER = 1.0 / 16.0
"""Width of a frame's soft border, in sides of the frame."""

_ROOM = 4  # pixels around a tilted square, which interpolation sees


@dataclass(frozen=True)
class Frame:
    """A square of a picture, which may reach beyond it. The picture goes on there as its mirror image.

    Args:
        left, top, side: in pixels of the picture, of any fraction; before it is tilted.
        angle: by which the square is tilted about its middle, in radians; above 0 clockwise.
    """

    left: float
    top: float
    side: float
    angle: float = 0.0

    def take(self, image: Tensor, s: int) -> Tensor:
        """The square at side s, [N, C, s, s], of pictures [N, C, h, w]; without aliasing, and bitwise the
        picture where the square is the whole of it and has its size."""
        if self.angle:
            around, n = self._around(s)
            return _turned(around.take(image, n), s, self.angle)
        rows = _taps(self.top, self.side / s, s, image.shape[-2], image)
        columns = _taps(self.left, self.side / s, s, image.shape[-1], image)
        return rows @ image @ columns.mT

    def put(self, change: Tensor, size: tuple[int, int]) -> Tensor:
        """A change [N, C, s, s] of the square's pixels at its place in a picture of this size, [N, C, h, w].

        It is 0 outside the square, and wherever the change is 0 within two of its pixels (five where it is
        tilted). Borders of the square that lie within the picture are soft; all are where it is tilted.
        """
        s, (h, w) = change.shape[-1], size
        if self.angle:
            edge = (torch.arange(s, dtype=torch.float64) + 0.5) / (FEATHER * s)
            soft = (_rise(edge) * _rise(edge.flip(0))).to(change)
            around, n = self._around(s)
            return around.put(_turned(change * soft[:, None] * soft, n, -self.angle), size)
        rows = _soft(self.top, self.side, s, h, change)
        columns = _soft(self.left, self.side, s, w, change)
        return rows @ change @ columns.mT

    def within(self, size: tuple[int, int]) -> Tensor:
        """Where the pixels of a picture of this size lie in the square, [h, w, 2], float64: x and y, from -1
        to 1 inside of it."""
        h, w = size
        half = self.side / 2.0
        y = torch.arange(h, dtype=torch.float64) + 0.5 - self.top - half
        x = torch.arange(w, dtype=torch.float64) + 0.5 - self.left - half
        return _rotated(torch.stack(torch.meshgrid(x, y, indexing="xy"), -1), -self.angle) / half

    def places(self, s: int) -> Tensor:
        """Where the pixels of the square at side s lie in the picture, [s, s, 2], float64: x and y."""
        at = (torch.arange(s, dtype=torch.float64) + 0.5 - s / 2.0) * (self.side / s)
        square = torch.stack(torch.meshgrid(at, at, indexing="xy"), -1)
        middle = torch.tensor([self.left, self.top], dtype=torch.float64) + self.side / 2.0
        return _rotated(square, self.angle) + middle

    def _around(self, s: int) -> tuple[Frame, int]:
        """The upright square around a tilted one, and its side in pixels as large as the tilted one's."""
        n = math.ceil(s * (abs(math.cos(self.angle)) + abs(math.sin(self.angle)))) + _ROOM
        side = n * self.side / s
        more = (side - self.side) / 2.0
        return Frame(self.left - more, self.top - more, side), n


def _rotated(points: Tensor, angle: float) -> Tensor:
    """Points [..., 2] turned about the origin; above 0 clockwise, for y points down."""
    c, s = math.cos(angle), math.sin(angle)
    x, y = points.unbind(-1)
    return torch.stack([c * x - s * y, s * x + c * y], -1)


def _turned(x: Tensor, m: int, angle: float) -> Tensor:
    """The middle m x m pixels of squares [N, C, n, n] as seen from a tilted frame; 0 beyond them."""
    n = x.shape[-1]
    at = torch.arange(m, dtype=torch.float64) + 0.5 - m / 2.0
    square = torch.stack(torch.meshgrid(at, at, indexing="xy"), -1)
    grid = (_rotated(square, angle) / (n / 2.0)).to(x)[None].expand(len(x), m, m, 2)
    return F.grid_sample(x, grid, mode="bicubic", padding_mode="zeros", align_corners=False)


def _taps(start: float, scale: float, n_out: int, n_in: int, like: Tensor) -> Tensor:
    """The weights [n_out, n_in] of resampling from `start` on in steps of `scale`; each row sums to 1.

    Keys' cubic (Keys 1981, equation 4, a = -1/2), widened for downsampling as in `velatura.canvas.resample`.
    Beyond the ends the mirror image counts.
    """
    widening = max(scale, 1.0)
    centres = start + (torch.arange(n_out, dtype=torch.float64) + 0.5) * scale - 0.5
    reach = int(2.0 * widening) + 1
    near = centres.floor().long()[:, None] + torch.arange(-reach, reach + 1)
    weights = _keys((near - centres[:, None]) / widening)
    folded = near.remainder(2 * n_in)
    matrix = torch.zeros(n_out, n_in, dtype=torch.float64)
    matrix.scatter_add_(1, torch.minimum(folded, 2 * n_in - 1 - folded), weights)
    return (matrix / matrix.sum(1, keepdim=True)).to(like)


def _soft(start: float, side: float, s: int, n: int, like: Tensor) -> Tensor:
    """The weights [n, s] of a square's s pixels in the n pixels of a picture along one axis."""
    scale = s / side
    # a picture's pixels in those of the square
    centres = (torch.arange(n, dtype=torch.float64) + 0.5 - start) * scale
    window = ((centres > 0.0) & (centres < s)).double()
    border = FEATHER * s
    if start > 0.5:
        window *= _rise(centres / border)
    if start + side < n - 0.5:
        window *= _rise((s - centres) / border)
    return window.to(like)[:, None] * _taps(-start * scale, scale, n, s, like)


def _rise(t: Tensor) -> Tensor:
    """From 0 at 0 to 1 at 1, smooth at both."""
    t = t.clamp(0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)


def _keys(x: Tensor) -> Tensor:
    x = x.abs()
    near = (1.5 * x - 2.5) * x**2 + 1.0
    far = ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0
    return torch.where(x < 1.0, near, torch.where(x < 2.0, far, torch.zeros_like(x)))
