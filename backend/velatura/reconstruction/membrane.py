"""Seamless cloning in the gradient domain (Perez et al. 2003, Poisson Image Editing, equation 4).

The result f has the edit's gradients in the selection and meets the layer at its edge. With f = x_hat + h,
h is a membrane: its Laplacian is 0 inside, and h = x - x_hat at the edge (equation 5). Where the selection
reaches the picture's edge, no pixel lies beyond it, so there the membrane is free.

The system is solved by conjugate gradients. Their preconditioner is a multigrid cycle over blocks of 2 x 2
pixels, whose coarse operators keep the form of the fine one: a graph of four neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

TOLERANCE = 1e-5
"""Of the residual, relative to the right-hand side."""
_MOST, _EVERY = 400, 4
_SMOOTHED, _DAMPED = 2, 0.8


def poisson(edited: Tensor, source: Tensor, inside: Tensor, tolerance: float = TOLERANCE) -> Tensor:
    """f, [N, 3, h, w]: the edit's gradients inside, the layer outside.

    Each picture is solved alone, so its result does not depend on the batch. A selection of everything has no
    edge; the edit then stays as it is.

    Args:
        edited: x_hat, [N, 3, h, w].
        source: x, [1, 3, h, w].
        inside: Omega, the pixels of the selection, bool [1, 1, h, w].
        tolerance: see `TOLERANCE`.
    """
    if bool(inside.all()):
        return edited.clone()
    system = System.of(inside.to(edited.dtype))
    cycle = [system]
    while max(cycle[-1].c.shape[-2:]) > 2:
        cycle.append(cycle[-1].coarser())
    difference = torch.where(inside, 0.0, source - edited)
    pictures = []
    for one, apart in zip(edited.split(1), difference.split(1), strict=True):
        h = _solved(cycle, torch.where(inside, _neighbours(apart), 0.0), tolerance)
        pictures.append(torch.where(inside, one + h, source))
    return torch.cat(pictures)


def _neighbours(x: Tensor) -> Tensor:
    """The sum over the four neighbours within the picture, [N, C, h, w]."""
    padded = F.pad(x, (1, 1, 1, 1))
    return padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1] + padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]


@dataclass(frozen=True)
class System:
    """(A h)_p = c_p h_p + sum over the neighbours q of w_pq (h_p - h_q), on a grid of h x w unknowns.

    Args:
        right: w between a pixel and the next in its row, [1, 1, h, w]; the last column is 0.
        down: w between a pixel and the one below, [1, 1, h, w]; the last row is 0.
        c: [1, 1, h, w], the weight of the neighbours with known values.
    """

    right: Tensor
    down: Tensor
    c: Tensor

    @staticmethod
    def of(inside: Tensor) -> System:
        """The system of the pixels inside (1; 0 elsewhere), [1, 1, h, w]."""
        right, down = torch.zeros_like(inside), torch.zeros_like(inside)
        right[..., :-1] = inside[..., :-1] * inside[..., 1:]
        down[..., :-1, :] = inside[..., :-1, :] * inside[..., 1:, :]
        return System(right, down, inside * _neighbours(1.0 - inside))

    def coarser(self) -> System:
        """The operator P^T A P on blocks of 2 x 2 pixels, P constant on each block."""
        h, w = self.c.shape[-2:]
        pad = (0, w % 2, 0, h % 2)
        right, down, c = (F.pad(x, pad) for x in (self.right, self.down, self.c))
        return System(
            right[..., 0::2, 1::2] + right[..., 1::2, 1::2],
            down[..., 1::2, 0::2] + down[..., 1::2, 1::2],
            _blocks(c),
        )

    @property
    def diagonal(self) -> Tensor:
        """Of A, and 1 where A has an empty row."""
        left, up = F.pad(self.right, (1, -1)), F.pad(self.down, (0, 0, 1, -1))
        d = self.c + self.right + left + self.down + up
        return torch.where(d == 0.0, 1.0, d)

    def __call__(self, h: Tensor) -> Tensor:
        """A h, [N, C, h, w]."""
        across = self.right * (h - F.pad(h, (-1, 1)))
        along = self.down * (h - F.pad(h, (0, 0, -1, 1)))
        return self.c * h + across - F.pad(across, (1, -1)) + along - F.pad(along, (0, 0, 1, -1))


def _blocks(x: Tensor) -> Tensor:
    """The sums of blocks of 2 x 2, of even sides."""
    return x[..., 0::2, 0::2] + x[..., 0::2, 1::2] + x[..., 1::2, 0::2] + x[..., 1::2, 1::2]


def _cycle(systems: list[System], b: Tensor, at: int = 0) -> Tensor:
    """An approximation of A^-1 b: damped Jacobi before and after the correction by the next coarser grid."""
    A = systems[at]
    d = A.diagonal
    h = _DAMPED * b / d
    for _ in range(_SMOOTHED - 1):
        h = h + _DAMPED * (b - A(h)) / d
    if at + 1 < len(systems):
        height, width = b.shape[-2:]
        residual = F.pad(b - A(h), (0, width % 2, 0, height % 2))
        coarse = _cycle(systems, _blocks(residual), at + 1)
        up = coarse.repeat_interleave(2, -2).repeat_interleave(2, -1)[..., :height, :width]
        h = h + up
    for _ in range(_SMOOTHED):
        h = h + _DAMPED * (b - A(h)) / d
    return h


def _solved(systems: list[System], b: Tensor, tolerance: float) -> Tensor:
    """h with A h = b, [1, C, h, w], by preconditioned conjugate gradients, all channels at once.

    The residual is read from the device only now and then.
    """
    A = systems[0]
    h = torch.zeros_like(b)
    residual, enough = b, tolerance * float(b.norm())
    if enough == 0.0:
        return h
    z = _cycle(systems, residual)
    direction, before = z, _dot(residual, z)
    for i in range(_MOST):
        image = A(direction)
        step = before / _dot(direction, image).clamp(min=1e-30)
        h, residual = h + step * direction, residual - step * image
        if i % _EVERY == _EVERY - 1 and float(residual.norm()) <= enough:
            break
        z = _cycle(systems, residual)
        now = _dot(residual, z)
        direction, before = z + (now / before.clamp(min=1e-30)) * direction, now
    return h


def _dot(a: Tensor, b: Tensor) -> Tensor:
    """Of each channel, [N, C, 1, 1]."""
    return (a * b).sum(dim=(-2, -1), keepdim=True)
