"""Even dials: the end of a dial, and a scale on which equal moves give equal change.

FreeSliders (arXiv:2511.00103) calls it automatic saturation and traversal detection: probe a dial at a few
strengths, find the strength from which on the wanted change no longer grows with the change of the picture,
and make the dial's scale proportional to the visible change. The model itself reads the wanted change, as a
diffusion classifier (Li et al. 2023, arXiv:2303.16203); no other network is needed.
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
"""The probed strengths; probing ends when the picture breaks."""
GAIN = 0.15
"""A dial ends where the gain per change falls below this share of its best value."""
LEAST = 0.1
"""Changes below this share of the largest change count as this share."""
WORSE = 1.3
"""A picture is broken if the model's error on it is more than this many times the error on the layer."""
_LEVELS = (0.3, 0.55, 0.8)  # values of t at which the model reads
_LOOKS = 2  # noises a level
_SCALES = 4


Probe = tuple[Tensor, float, float, float]
"""The latents [1, C, h, w] of a strength, the distance of their picture from that of the strength before, and
their `readings`."""


@storable("even curve")
@dataclass(frozen=True)
class Curve:
    """strengths: increasing from 0. changes: the visible change at each, from 0, not decreasing."""

    strengths: tuple[float, ...]
    changes: tuple[float, ...]

    def strength(self, share: float) -> float:
        """The strength with this share, in [0, 1], of the visible change at the dial's end."""
        wanted = share * self.changes[-1]
        for (s, c), (s_next, c_next) in pairwise(zip(self.strengths, self.changes, strict=True)):
            if wanted <= c_next:
                return s + (s_next - s) * ((wanted - c) / (c_next - c) if c_next > c else 1.0)
        return self.strengths[-1]


def fit(
    strengths: Sequence[float], changes: Sequence[float], gains: Sequence[float], errors: Sequence[float]
) -> Curve:
    """The curve to the dial's end, from probes. The first of each list is the layer's, at strength 0.

    Args:
        strengths: increasing, from 0.
        changes: the distance of each picture from the one before, from 0.
        gains: the wanted change in each, as in `readings`.
        errors: the model's error on each.
    """
    whole = next((i for i in range(2, len(errors)) if breaks(errors[: i + 1])), len(errors))
    least = max(LEAST * max(changes[1:whole]), 1e-6)  # otherwise a gain without a change would be infinite
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
        model: reads the pictures.
        edited: returns the latents [1, C, h, w] for a strength.
        shown: returns the visible picture [1, 3, h, w] of latents.
        z0: the layer's latents.
        away, toward: the two texts of the dial.
        seed: of the noises with which the model reads.
        begun: the finished probes of this dial from an earlier call that was stopped, for strength 0 and then
            `PROBES`. The missing ones are appended.
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
    """Whether the last picture is broken. errors: of the layer and of all probes up to that picture."""
    return errors[-1] > WORSE * errors[0]


def readings(model: Network, z: Tensor, away: str, toward: str, seed: int) -> tuple[float, float]:
    """(gain, error) of the latents z [1, C, h, w]. The gain says how much more the model reads `toward` than
    `away` in them; the error is |D(x; sigma) - z|^2 with the better of the two texts. All latents get the
    same noises for one seed."""
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
    """The visible distance of two pictures [1, 3, h, w] in [-1, 1]: the mean difference in CIE 1976 Lab over
    four scales, each half as fine as the one before."""
    difference, total = lab(a) - lab(b), 0.0
    for _ in range(_SCALES):
        total += float(difference.square().sum(1).sqrt().mean())
        if min(difference.shape[-2:]) >= 2:
            difference = F.avg_pool2d(difference, 2)
    return total / _SCALES
