"""The mathematics of an edit by a flow (FlowEdit, FlowAlign, FlowSlider), written with the denoiser D.

A denoiser is a flow. With x = z0 + sigma n, as everywhere in `velatura.diffusion`, put

    t = sigma / (1 + sigma),    z = x / (1 + sigma) = (1 - t) z0 + t n,    v(z, t) = (z - D(x; sigma)) / t,

which is the velocity n - z0 of a rectified flow if D is the mean of z0. So the three methods, published for
flow networks, run on every denoising network.

They move a picture z_edit along the difference of two velocities: one at the noised source q = (1 - t) z0 + t
n, one at p = z_edit + q - z0. With delta = z_edit - z0 the noise cancels:

    v(p) - v(q) = (delta - R) / t,    R = the edit's D at p - D(q; c_src),

and Euler's step from t to t' becomes a weighted mean of the two, without a division by a number near 0:

    delta' = r delta + (1 - r) R,    r = t' / t;    at t' = 0 it ends on R.

The methods differ in R:

- FlowEdit (Kulikov et al. 2025, arXiv:2412.08629, algorithm 1): R = D_w(p; c_tar) - D_w'(q; c_src), each
  with classifier-free guidance of its own.
- FlowAlign (Kim et al. 2025, arXiv:2505.23145): R = D(p; c_src) + w (D(p; c_tar) - D(p; c_src)) - D(q;
  c_src), and a pull of the predicted picture to the source, zeta: delta' = r delta + (1 - r - zeta) R.
- FlowSlider (arXiv:2604.02088): R = D(p; c_neg) - D(q; c_src) + s (D(p; c_pos) - D(p; c_neg)). The first
  difference keeps the picture, the second steers it. Where c_neg is c_src this is FlowAlign with w = s and
  zeta = 0. Several dials add their steering terms.
"""

from __future__ import annotations

from itertools import pairwise

import torch.nn.functional as F
from torch import Tensor

FOCUS = (0.2, 0.5)
"""Shares of the strongest pull: below the first a place takes no part in an edit, above the second it takes
full part."""


def time(sigma: float) -> float:
    """t = sigma / (1 + sigma), in [0, 1)."""
    return sigma / (1.0 + sigma)


def ratios(sigmas: list[float]) -> list[float]:
    """r = t' / t of each step between decreasing levels, the last of which may be 0."""
    times = [time(sigma) for sigma in sigmas]
    return [after / before for before, after in pairwise(times)]


def displaced(x: Tensor, delta: Tensor, sigma: float) -> Tensor:
    """p in the form of x: the noised source x = z0 + sigma n moved by delta, x + (1 + sigma) delta."""
    return x + (1.0 + sigma) * delta


def step(delta: Tensor, R: Tensor, r: float, zeta: float = 0.0) -> Tensor:
    """delta' = r delta + (1 - r - zeta) R, each [N, C, h, w]."""
    return r * delta + (1.0 - r - zeta) * R


def focus(pulled: Tensor) -> Tensor:
    """The share, in [0, 1], with which each place takes part, from its total pull so far; both [N, 1, h, w].

    A text says nothing about most places. There its pull is small but not 0, and such pulls add up over the
    steps to a drift in an edit without a selection. This is DiffEdit's mask (Couairon et al. 2023), computed
    from the run itself.
    """
    reach = max(1, min(pulled.shape[-2:]) // 16)
    smooth = F.avg_pool2d(pulled, 2 * reach + 1, 1, reach, count_include_pad=False)
    share = smooth / smooth.amax((2, 3), keepdim=True).clamp(min=1e-12)
    low, high = FOCUS
    return ((share - low) / (high - low)).clamp(0.0, 1.0)
