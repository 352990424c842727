"""Views of a picture for CLIP: warped copies and cut-outs, differentiable.

A gradient that has to lower the loss of several views at once changes the picture's content; with one view it
finds noise that only the network sees (Avrahami et al. 2022, "extending augmentations"; Crowson 2021,
cut-outs).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

Views = Callable[[Tensor, Sequence[torch.Generator]], Tensor]
"""Pictures [N, 3, h, w] -> their views [N, n, 3, s, s]. Picture i takes its random numbers from the i-th
generator alone, which is one of the CPU, so its views depend neither on the batch nor on the device."""

DEGREES = 15.0  # largest rotation
SHIFT = 0.1  # largest shift, in sides of the picture
DISTORTION = 0.7  # largest move of a corner, in halves of a side
SHARE = 0.7  # probability of the rotation and shift, and that of the distortion
LEAST = 0.5  # least side of a cut-out, in shorter sides of the picture


def generators(seeds: Sequence[int]) -> list[torch.Generator]:
    """A generator of the CPU for each seed."""
    return [torch.Generator().manual_seed(seed) for seed in seeds]


def whole(side: int) -> Views:
    """The picture itself, stretched to a square of this side, as its only view."""
    return lambda x, random: _resized(x, side)[:, None]


def warps(n: int, side: int) -> Views:
    """The picture itself and n - 1 warped copies, stretched to squares of this side.

    A copy is rotated, shifted and seen in perspective, each with probability `SHARE`. Beyond its edges its
    outermost pixels continue.
    """

    def views(x: Tensor, random: Sequence[torch.Generator]) -> Tensor:
        square = _resized(x, side)
        H = [torch.stack([_homography(g) for _ in range(n - 1)]) for g in random]
        return torch.cat([square[:, None], _warped(square, torch.stack(H))], dim=1)

    return views if n > 1 else whole(side)


def cutouts(n: int, side: int, power: float = 1.0, least: float = LEAST) -> Views:
    """n random squares of the picture, resized to this side.

    Args:
        n: of each picture.
        side: of a view in pixels.
        power: a square's side is least + (1 - least) u^power, u uniform in [0, 1]; higher powers give smaller
            squares.
        least: its least side, in shorter sides of the picture. The published script takes CLIP's own side,
            which for pictures smaller than that leaves only whole pictures.
    """

    def views(x: Tensor, random: Sequence[torch.Generator]) -> Tensor:
        return torch.stack(
            [
                torch.cat([_resized(_square(one, g, power, least), side) for _ in range(n)])
                for one, g in zip(x.split(1), random, strict=True)
            ]
        )

    return views


def _resized(x: Tensor, side: int) -> Tensor:
    if x.shape[-2:] == (side, side):
        return x
    return F.interpolate(x, (side, side), mode="bilinear", antialias=True)


def _square(x: Tensor, random: torch.Generator, power: float, least: float) -> Tensor:
    """A random square of a picture [1, 3, h, w]."""
    height, width = x.shape[-2:]
    size, down, right = torch.rand(3, generator=random, dtype=torch.float64).tolist()
    side = max(1, round(min(height, width) * (least + (1.0 - least) * size**power)))
    top, left = round(down * (height - side)), round(right * (width - side))
    return x[..., top : top + side, left : left + side]


def _homography(random: torch.Generator) -> Tensor:
    """A random warp, [3, 3]: from a place of the view to the place of the picture that it shows, both in
    homogeneous coordinates (x, y, 1), -1 and 1 at the edges."""
    turn, across, down, is_moved, is_bent, *corners = torch.rand(
        13, generator=random, dtype=torch.float64
    ).tolist()
    warp = torch.eye(3, dtype=torch.float64)
    if is_moved < SHARE:
        angle = math.radians(DEGREES * (2.0 * turn - 1.0))
        c, s = math.cos(angle), math.sin(angle)
        dx, dy = 2.0 * SHIFT * (2.0 * across - 1.0), 2.0 * SHIFT * (2.0 * down - 1.0)
        warp = torch.tensor([[c, -s, dx], [s, c, dy], [0.0, 0.0, 1.0]], dtype=torch.float64)
    if is_bent < SHARE:
        warp = warp @ _perspective(torch.tensor(corners, dtype=torch.float64).view(4, 2) * DISTORTION)
    return warp


def _perspective(inwards: Tensor) -> Tensor:
    """The warp [3, 3] that shows the picture's corners moved inwards by these lengths [4, 2]."""
    edges = torch.tensor([[-1.0, -1.0], [1.0, -1.0], [1.0, 1.0], [-1.0, 1.0]], dtype=torch.float64)
    shown = edges * (1.0 - inwards)  # where the corner at an edge is seen
    rows: list[Tensor] = []
    for (u, v), (x, y) in zip(shown, edges, strict=True):
        zero, one = torch.zeros_like(u), torch.ones_like(u)
        rows.append(torch.stack([u, v, one, zero, zero, zero, -u * x, -v * x]))
        rows.append(torch.stack([zero, zero, zero, u, v, one, -u * y, -v * y]))
    h = torch.linalg.solve(torch.stack(rows), edges.reshape(8))
    return torch.cat([h, torch.ones(1, dtype=torch.float64)]).view(3, 3)


def _warped(x: Tensor, H: Tensor) -> Tensor:
    """Squares [N, 3, s, s] by warps [N, n, 3, 3], as [N, n, 3, s, s]."""
    N, n = H.shape[:2]
    side = x.shape[-1]
    line = (torch.arange(side, dtype=torch.float64) * 2.0 + 1.0) / side - 1.0
    y, x_ = torch.meshgrid(line, line, indexing="ij")
    places = torch.stack([x_, y, torch.ones_like(y)], dim=-1)  # [s, s, 3]
    seen = torch.einsum("nkij,hwj->nkhwi", H, places)
    grid = (seen[..., :2] / seen[..., 2:].clamp(min=1e-3)).to(x)
    copies = x[:, None].expand(-1, n, -1, -1, -1).flatten(0, 1)
    warped = F.grid_sample(copies, grid.flatten(0, 1), padding_mode="border", align_corners=False)
    return warped.unflatten(0, (N, n))
