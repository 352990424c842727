"""Even dials: where a dial ends, and strengths between which equal moves give equal change.

FreeSliders (arXiv:2511.00103) calls it automatic saturation and traversal detection: probe a dial at a few
strengths, find where what was asked for no longer grows with how much the picture changes, and lay the dial's
scale out by the change that is seen. What is asked for is read by the model itself, as a diffusion classifier
(Li et al. 2023, arXiv:2303.16203); no other network is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.cache.values import storable
from velatura.diffusion import noise
from velatura.diffusion.condition import cat
from velatura.diffusion.denoiser import denoise
from velatura.diffusion.network import Network

from .change import lab

PROBES = (0.5, 1.0, 1.75, 2.75, 4.0, 6.0, 9.0, 13.0)
"""Strengths that are tried, as far as the picture does not break."""
GAIN = 0.15
"""A dial ends where what was asked for grows by less than this share of its best growth per change."""
LEAST = 0.1
"""Changes below this share of the largest count as that."""
WORSE = 1.3
"""A dial ends where the model explains the picture this many times as badly as the layer."""
_LEVELS = (0.3, 0.55, 0.8)  # of t, at which the model reads
_LOOKS = 2  # noises a level
_SCALES = 4


Probe = tuple[Tensor, float, float, float]
"""Latents [1, C, h, w] of a strength, how far their picture is from that of the strength before, and their
`readings`."""


@storable("even curve")
@dataclass(frozen=True)
class Curve:
    """strengths: increasing from 0. changes: what is seen to have changed at each, from 0, not decreasing."""

    strengths: tuple[float, ...]
    changes: tuple[float, ...]

    def strength(self, share: float) -> float:
        """The strength at which this share, in [0, 1], of all the change to the dial's end is seen."""
        wanted = share * self.changes[-1]
        for (s, c), (s_next, c_next) in pairwise(zip(self.strengths, self.changes, strict=True)):
            if wanted <= c_next:
                return s + (s_next - s) * ((wanted - c) / (c_next - c) if c_next > c else 1.0)
        return self.strengths[-1]


def fit(
    strengths: Sequence[float], changes: Sequence[float], gains: Sequence[float], errors: Sequence[float]
) -> Curve:
    """The curve to the dial's end, from probes; the first of each is of the layer, at strength 0.

    Args:
        strengths: increasing, from 0.
        changes: the distance of each picture from the one before, from 0.
        gains: how much of what is asked for each shows.
        errors: how badly the model explains each.
    """
    whole = next((i for i in range(2, len(errors)) if breaks(errors[: i + 1])), len(errors))
    least = max(LEAST * max(changes[1:whole]), 1e-6)  # else a gain without a change would be infinitely good
    growths = [(gains[i] - gains[i - 1]) / max(changes[i], least) for i in range(1, whole)]
    best = max(growths)
    end = max(i for i, growth in enumerate(growths, 1) if growth >= GAIN * best) if best > 0.0 else 1
    sums = [0.0]
    for change in changes[1 : end + 1]:
        sums.append(sums[-1] + max(change, 0.0))
    return Curve(tuple(strengths[: end + 1]), tuple(sums))


def probe(
    model: Network,
    edited: Callable[[float], Tensor],
    shown: Callable[[Tensor], Tensor],
    z0: Tensor,
    away: str,
    toward: str,
    seed: int,
    begun: list[Probe],
) -> Curve:
    """The curve of one dial, in one direction, on one layer.

    Args:
        model: reads what the pictures show.
        edited: the latents [1, C, h, w] that a strength gives.
        shown: the picture [1, 3, h, w] that a person sees of latents.
        z0: those of the layer.
        away, toward: the texts that the dial leads between.
        seed: of the noises with which the model reads.
        begun: the probes of the same dial that were done before it was stopped, of strength 0 and then of
            `PROBES`; it grows.
    """
    if not begun:
        begun.append((z0, 0.0, *readings(model, z0, away, toward, seed)))
    before = shown(begun[-1][0])
    for strength in PROBES[len(begun) - 1 :]:
        if breaks([error for *_, error in begun]):
            break
        z = edited(strength)
        picture = shown(z)
        begun.append((z, distance(before, picture), *readings(model, z, away, toward, seed)))
        before = picture
    _, changes, gains, errors = zip(*begun, strict=True)
    return fit((0.0, *PROBES)[: len(begun)], changes, gains, errors)


def breaks(errors: Sequence[float]) -> bool:
    """Whether the last of the pictures is broken. errors: of the layer and of all probes up to that one."""
    return errors[-1] > WORSE * errors[0]


def readings(model: Network, z: Tensor, away: str, toward: str, seed: int) -> tuple[float, float]:
    """How much of `toward`, and not of `away`, the model reads in the latents z [1, C, h, w], and how badly
    it explains them with the better of both: |D(x; sigma) - z|^2. The same noises for all latents of a
    seed."""
    gain = error = 0.0
    c = cat([model.encode_prompt(text).expand(_LOOKS) for text in (away, toward)])
    for level, t in enumerate(_LEVELS):
        sigma = t / (1.0 - t)
        x = z + sigma * torch.cat(noise.looks(seed + level * _LOOKS, _LOOKS, z))
        D = denoise(model, torch.cat([x, x]), sigma, c)
        of_away, of_toward = (D - z).square().mean((1, 2, 3)).view(2, -1).tolist()
        for a, b in zip(of_away, of_toward, strict=True):
            gain += (a - b) / (a + b)
            error += min(a, b)
    return gain, error


def distance(a: Tensor, b: Tensor) -> float:
    """How different two pictures [1, 3, h, w] in [-1, 1] look: the mean difference in CIE 1976 Lab over four
    scales, each half as fine as the one before."""
    difference, total = lab(a) - lab(b), 0.0
    for _ in range(_SCALES):
        total += float(difference.square().sum(1).sqrt().mean())
        if min(difference.shape[-2:]) >= 2:
            difference = F.avg_pool2d(difference, 2)
    return total / _SCALES
