"""The colours of repainted parts: those that a person has painted, or that the layer's part has.

EditGAN (Ling et al. 2021) leaves colours to the generator: its parts have none. Hair that is painted where
the generator hardly ever makes any comes out half transparent, and a hat pale. Here each repainted pixel has
a wanted colour with a tolerance, of which only the excess counts. Colours are compared as means around a
pixel, so that strands, light and folds stay the generator's or the layer's.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

PAINTED = 0.04
"""The tolerance of a painted colour, of colours in [-1, 1]."""

_AROUND = 4  # pixels to every side over which colours are averaged
_ENOUGH = 0.02  # of the pixels: a smaller part, such as a mouth, is better left to the generator
_MANY = 0.65  # a part has no one colour if a quarter of it is farther from its median, as lips from teeth
_SHARE, _LEAST, _MOST = 0.3, 0.04, 0.12  # the tolerance of a part's own colour, in shares of that distance
_LEVEL = 1e-6


@dataclass(frozen=True)
class Colours:
    """Wanted colours.

    Args:
        wanted: [1, 3, s, s] in [-1, 1].
        known: [1, 1, s, s], 1 where a colour is wanted, else 0.
        tolerance: [1, 1, s, s], the distance (Euclidean, of RGB) that counts as none.
    """

    wanted: Tensor
    known: Tensor
    tolerance: Tensor

    def copied(self) -> Colours:
        """A copy that can take part in a gradient; to be called outside of inference mode."""
        return Colours(self.wanted.clone(), self.known.clone(), self.tolerance.clone())


def wanted(picture: Tensor, y: Tensor, y_edited: Tensor, paint: Tensor | None) -> Colours:
    """The wanted colours of an edit: painted ones, else those of the layer's pixels of the same part.

    A part that is small or has many colours has none.

    Args:
        picture: [1, 3, s, s] in [-1, 1], the layer in the frame.
        y: [1, s, s], its labels.
        y_edited: [1, s, s], the repainted ones.
        paint: [1, 4, s, s], colours in [-1, 1] and alpha; None where nothing is painted.
    """
    colours, known = torch.zeros_like(picture), torch.zeros_like(picture[:, :1])
    tolerance = torch.zeros_like(known)
    changed = y != y_edited
    for part in y_edited[changed].unique():
        own = picture[0, :, (y == part)[0]]
        if own.shape[1] < _ENOUGH * y.numel():
            continue
        middle = own.median(1, keepdim=True).values
        spread = (own - middle).norm(dim=0).quantile(0.75)
        if spread > _MANY:
            continue
        there = (changed & (y_edited == part))[:, None].to(picture)
        colours = colours + there * middle[None, ..., None]
        tolerance = tolerance + there * (_SHARE * spread).clamp(_LEAST, _MOST)
        known = known + there
    if paint is not None:
        there = (paint[:, 3:] > 0.5).to(picture)
        colours = colours * (1.0 - there) + paint[:, :3] * there
        tolerance = tolerance * (1.0 - there) + PAINTED * there
        known = torch.maximum(known, there)
    return Colours(colours, known, tolerance)


def missing(pictures: Tensor, colours: Colours) -> Tensor:
    """What has to be added to pictures [N, 3, s, s] for the wanted colours, [N, 3, s, s]; 0 where none is
    wanted, and within the tolerance."""
    difference = _around(colours.wanted - pictures, colours.known)
    distance = (difference.square().sum(1, keepdim=True) + _LEVEL).sqrt()
    return difference * (1.0 - colours.tolerance / distance).clamp(min=0.0) * colours.known


def loss(pictures: Tensor, colours: Colours) -> Tensor:
    """The mean square of the missing colours over the pixels that want one; 0 where none does."""
    lacking = missing(pictures, colours).square().sum(1, keepdim=True)
    return lacking.sum() / colours.known.sum().clamp(min=1.0)


def _around(x: Tensor, known: Tensor) -> Tensor:
    """The mean of x [N, C, s, s] over the known pixels around each."""
    n = 2 * _AROUND + 1
    total = F.avg_pool2d(x * known, n, 1, _AROUND)
    return total / F.avg_pool2d(known, n, 1, _AROUND).clamp(min=_LEVEL)
