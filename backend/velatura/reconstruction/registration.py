"""How an edited picture lies on its layer: scaled about its centre and shifted.

Networks that make a picture anew by an instruction move it by some pixels, or zoom. The shift and the scale
are estimated from the parts that did not change, and the picture is sampled back onto the layer.

The start is phase correlation (Kuglin & Hines 1975) at several scales. Gauss-Newton steps on a pyramid of
halved pictures refine it (Lucas & Kanade 1981): with L the layer's luma, I the picture's and
W(p) = c + s (p - c) + t, they minimise over s, t and a change of brightness g, b

    sum over p of rho(g I(W(p)) + b - L(p)),  rho(r) = r^2 / (k^2 + r^2)

(Geman & McClure 1987), k from the median residual, so that changed parts do not count.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

ZOOM = 1.25
"""The largest scale that is looked for, and the inverse of the least."""
FARTHEST = 0.3
"""The largest shift that is looked for, in sides of the picture."""
FELT = 0.05
"""The largest move of a corner, in pixels, that stays as it is: sampling costs sharpness."""
_COARSE, _ZOOMS = 128, 19  # longest side of the pictures that are correlated, and their scales
_LEAST = 48  # longest side of the pyramid's smallest picture
_ITERATIONS, _SMALL_STEP = 25, 2e-3  # of Gauss-Newton on a level; pixels
_NOISE = 0.01  # the least k, of luma in [0, 1]
_DIFFERENT = 0.25  # k where two placements are compared, in median deviations of the luma
_WHITE = 0.1  # of the mean cross spectrum: weaker frequencies are noise and count less
_TILES, _FEWEST = 4, 4  # a side; the fewest that are alike, for a placement to be believed
_MOST_TILES = 0.75  # a partly changed tile may be among them, and moves
_ALIKE, _TEXTURE = 0.8, 1e-5  # least correlation of a tile; its least gradient, squared
_BETTER = 0.95  # the cost of a far placement, of that of the near one, from which on it is believed


class Placement(NamedTuple):
    """The place of a picture on its layer: the layer's pixel p is the picture's c + scale (p - c) + shift,
    with c the centre.

    Args:
        scale: larger than 1 for a picture that is zoomed in.
        shift: downwards and to the right, in pixels.
    """

    scale: float = 1.0
    shift: tuple[float, float] = (0.0, 0.0)

    def move(self, height: int, width: int) -> float:
        """The largest move of a corner of a picture of this size, in pixels."""
        (y, x), grown = self.shift, self.scale - 1.0
        return math.hypot(abs(y) + abs(grown) * (height - 1) / 2, abs(x) + abs(grown) * (width - 1) / 2)


class Registration(NamedTuple):
    """A placement, and how well the unchanged parts fit with it.

    Args:
        residual: the move that is left in the parts that did not change, in pixels: three of four move no
            further.
    """

    placement: Placement
    residual: float


def register(edited: Tensor, layer: Tensor) -> Registration | None:
    """The place of an edited picture on its layer; None where too little stayed to tell.

    Args:
        edited: [1, 3, h, w] in [-1, 1].
        layer: its picture without the edit, of the same size.
    """
    I, L = (_luma(picture) for picture in (edited, layer))  # noqa: E741 - the paper's symbol
    levels = _pyramid(I, L)
    near, far = (_refined(levels, start) for start in (Placement(), _correlated(I, L)))
    best = min((Placement(), near), key=lambda placement: _cost(I, L, placement))
    if _cost(I, L, far) < _BETTER * _cost(I, L, best):
        best = far
    residual = _residual(I, L, best)
    return None if residual is None else Registration(best, residual)


def placed(picture: Tensor, placement: Placement) -> Tensor:
    """The picture [N, C, h, w] sampled onto the layer, by bicubic interpolation. Behind its edges it is
    mirrored. A move below `FELT` leaves it as it is, bit for bit."""
    height, width = picture.shape[-2:]
    if placement.move(height, width) < FELT:
        return picture
    return _warped(picture, placement)


def _luma(picture: Tensor) -> Tensor:
    """Luma in [0, 1] (ITU-R BT.709), [1, 1, h, w] on the CPU, smoothed as sampling needs it."""
    weights = picture.new_tensor([0.2126, 0.7152, 0.0722]).view(1, 3, 1, 1)
    return _smooth(((picture * weights).sum(1, keepdim=True) + 1.0).div(2.0).float().cpu())


def _smooth(x: Tensor) -> Tensor:
    """x [1, 1, h, w] filtered by [1, 2, 1] / 4 along both sides."""
    row = x.new_tensor([0.25, 0.5, 0.25])
    x = F.conv2d(F.pad(x, (1, 1, 0, 0), mode="replicate"), row.view(1, 1, 1, 3))
    return F.conv2d(F.pad(x, (0, 0, 1, 1), mode="replicate"), row.view(1, 1, 3, 1))


def _pyramid(I: Tensor, L: Tensor) -> list[tuple[Tensor, Tensor]]:  # noqa: E741
    """Both pictures, and halves of them down to about `_LEAST` pixels; the largest first."""
    levels = [(I, L)]
    while max(levels[-1][0].shape[-2:]) >= 2 * _LEAST and min(levels[-1][0].shape[-2:]) >= 16:
        halved = [_smooth(F.avg_pool2d(x, 2)) for x in levels[-1]]
        levels.append((halved[0], halved[1]))
    return levels


def _warped(x: Tensor, placement: Placement) -> Tensor:
    """x [N, C, h, w] at W(p)."""
    h, w = x.shape[-2:]
    down, right = _coordinates(x, placement)
    grid = torch.stack(
        [(right / max((w - 1) / 2, 0.5)).expand(h, w), (down / max((h - 1) / 2, 0.5)).expand(h, w)], -1
    )
    grid = grid.to(x).expand(len(x), -1, -1, -1)
    return F.grid_sample(x, grid, "bicubic", "reflection", align_corners=True)


def _coordinates(x: Tensor, placement: Placement) -> tuple[Tensor, Tensor]:
    """W(p) - c, downwards [h, 1] and to the right [1, w], in pixels."""
    h, w = x.shape[-2:]
    y = torch.arange(h, dtype=torch.float64) - (h - 1) / 2
    right = torch.arange(w, dtype=torch.float64) - (w - 1) / 2
    scale, (dy, dx) = placement
    return (scale * y + dy)[:, None], (scale * right + dx)[None]


def _correlated(I: Tensor, L: Tensor) -> Placement:  # noqa: E741
    """The placement with the highest peak of the phase correlation, to about a pixel of a small picture."""
    h, w = I.shape[-2:]
    factor = max(1, -(-max(h, w) // _COARSE))
    small, layer = (F.avg_pool2d(x, factor) if min(h, w) >= 2 * factor else x for x in (I, L))
    h, w = small.shape[-2:]
    window = torch.hann_window(h, periodic=False)[:, None] * torch.hann_window(w, periodic=False)
    down, right = (torch.fft.fftfreq(n, 1.0 / n).abs() <= FARTHEST * n for n in (h, w))
    near = down[:, None] & right[None]
    spectrum = torch.fft.rfft2((layer[0, 0] - layer.mean()) * window).conj()
    best, peak = Placement(), -math.inf
    for zoom in torch.linspace(-1.0, 1.0, _ZOOMS, dtype=torch.float64).tolist():
        scale = ZOOM**zoom
        warped = _warped(small, Placement(scale))[0, 0]
        cross = torch.fft.rfft2((warped - warped.mean()) * window) * spectrum
        size = cross.abs()
        surface = torch.fft.irfft2(cross / (size + _WHITE * size.mean() + 1e-12), s=(h, w))
        surface = torch.where(near, surface, -torch.inf)
        if float(surface.max()) > peak:
            peak, at = float(surface.max()), int(surface.argmax())
            dy, dx = (n - side if n > side / 2 else n for n, side in ((at // w, h), (at % w, w)))
            best = Placement(scale, (scale * dy * factor, scale * dx * factor))
    return best


def _refined(levels: Sequence[tuple[Tensor, Tensor]], start: Placement) -> Placement:
    """The placement, refined from the smallest pictures to the largest."""
    placement = start
    for i, (I, L) in reversed([*enumerate(levels)]):  # noqa: E741
        dy, dx = placement.shift
        there = _fitted(I, L, Placement(placement.scale, (dy / 2**i, dx / 2**i)))
        placement = Placement(there.scale, (there.shift[0] * 2**i, there.shift[1] * 2**i))
    return placement


def _fitted(I: Tensor, L: Tensor, placement: Placement) -> Placement:  # noqa: E741
    """Gauss-Newton on one level. A step out of bounds leaves the start as it was."""
    height, width = I.shape[-2:]
    start, g, b = placement, 1.0, 0.0
    for _ in range(_ITERATIONS):
        x, inside = _seen(I, placement)
        gy, gx = _gradient(x)
        y, right = _coordinates(I, Placement())
        r = g * x + b - L[0, 0].double()
        k = _spread(r[inside])
        weight = torch.where(inside, (k**2 / (k**2 + r.square())).square(), 0.0)
        s = placement.scale
        columns = [g * (gy * y + gx * right) / s, g * gy / s, g * gx / s, x, torch.ones_like(x)]
        J = torch.stack([column.reshape(-1) for column in columns])
        A, e = (J * weight.reshape(-1)) @ J.T, (J * weight.reshape(-1)) @ r.reshape(-1)
        ridge = 1e-9 * torch.diag(A.diagonal() + 1e-12)
        step = torch.linalg.solve(A + ridge, -e).tolist()
        scale, dy, dx = s + step[0], placement.shift[0] + step[1], placement.shift[1] + step[2]
        g, b = g + step[3], b + step[4]
        if not (1.0 / (1.1 * ZOOM) < scale < 1.1 * ZOOM) or max(abs(dy) / height, abs(dx) / width) > 0.5:
            return start
        placement = Placement(scale, (dy, dx))
        if Placement(1.0 + step[0], (step[1], step[2])).move(height, width) < _SMALL_STEP:
            break
    return placement


def _seen(I: Tensor, placement: Placement) -> tuple[Tensor, Tensor]:  # noqa: E741
    """I(W(p)) [h, w] float64, and where that lies in the picture."""
    y, x = _coordinates(I, placement)
    h, w = I.shape[-2:]
    inside = (y.abs() <= (h - 1) / 2 - 1) & (x.abs() <= (w - 1) / 2 - 1)
    return _warped(I, placement)[0, 0].double(), inside


def _gradient(x: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences of x [h, w], downwards and to the right."""
    y, right = torch.gradient(x)
    return y, right


def _spread(r: Tensor) -> float:
    """k: 1.5 standard deviations of the unchanged parts, from the median."""
    return max(_NOISE, 1.5 * 1.4826 * float(r.abs().median())) if r.numel() else _NOISE


def _cost(I: Tensor, L: Tensor, placement: Placement) -> float:  # noqa: E741
    """The mean of rho over luma of equal medians and median deviations, which brightness does not change."""
    x, inside = _seen(I, placement)
    if inside.double().mean() < 0.25:
        return math.inf
    r = _even(x[inside]) - _even(L[0, 0].double()[inside])
    return float((r.square() / (_DIFFERENT**2 + r.square())).mean())


def _even(x: Tensor) -> Tensor:
    x = x - x.median()
    return x / x.abs().median().clamp(min=_NOISE)


def _residual(I: Tensor, L: Tensor, placement: Placement) -> float | None:  # noqa: E741
    """The upper quartile of the moves of tiles that are alike in both pictures; None if they are few."""
    x, inside = _seen(I, placement)
    layer, moves = L[0, 0].double(), list[Tensor]()
    gy, gx = _gradient(x)
    h, w = layer.shape
    for i in range(_TILES**2):
        row, column = divmod(i, _TILES)
        rows = slice(row * h // _TILES, (row + 1) * h // _TILES)
        tile = rows, slice(column * w // _TILES, (column + 1) * w // _TILES)
        here = inside[tile]
        if here.double().mean() < 0.5:
            continue
        a, b = x[tile][here], layer[tile][here]
        a, b = a - a.mean(), b - b.mean()
        G = torch.stack([gy[tile][here], gx[tile][here]])
        A = G @ G.T / G.shape[1]
        if float(torch.linalg.eigvalsh(A)[0]) < _TEXTURE or float(a @ b) < _ALIKE * float(
            a.norm() * b.norm()
        ):
            continue
        r = (a @ b / (a @ a)) * a - b
        k = _spread(r)
        G_w = G * (k**2 / (k**2 + r.square())).square()
        moves.append(torch.linalg.solve(G_w @ G.T, G_w @ r))
    if len(moves) < _FEWEST:
        return None
    return float(torch.stack(moves).norm(dim=1).quantile(_MOST_TILES))
