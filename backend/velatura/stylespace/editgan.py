"""EditGAN: a code whose parts are those that a person has painted, and whose picture stays elsewhere.

Ling et al. 2021, EditGAN: High-Precision Semantic Image Editing, section 3.2. Symbols are the paper's: y are
the labels of a picture, r the region of an edit, delta_w its edit vector in W+.

Beside pixels, the paper compares LPIPS outside of r. Here the features of the synthesis' own blocks stand in,
normalised like LPIPS' (Zhang et al. 2018, The Unreasonable Effectiveness of Deep Features, equation 1): every
style generator has them, and they are made in any case.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.fitting.adam import fit
from velatura.generators.styles import Made, StyleGenerator

from . import colours as colouring
from .colours import Colours

Identity = Callable[[Tensor], Tensor]
"""Unit vectors [N, D] of the people in pictures [N, 3, s, s] in [-1, 1], with a gradient."""

AfterStep = Callable[[int, Tensor], None]
"""after_step(i, delta_w): called when step i, from 1, is done. It may raise to stop."""


_INSIDE = 1  # pixels around the repainted ones that are the generator's own
_RIM = 4  # pixels beside them of the part that has grown
_NEAR = 5  # pixels around them that may change


@dataclass(frozen=True)
class Settings:
    """Of an edit.

    Args:
        steps: of Adam.
        rate: Adam's.
        reach: pixels by which the changed pixels are dilated to r.
        parts: the weight of the cross-entropy inside of r.
        pixels: the weight of the squared difference of the pixels outside of r.
        features: the weight of the difference of the features outside of r.
        identity: the weight of the person's difference, 0 to 1.
        colours: the weight of the missing colours of repainted pixels.
    """

    steps: int = 60
    rate: float = 0.05
    reach: int = 3
    parts: float = 2.0
    pixels: float = 30.0
    features: float = 3.0
    identity: float = 0.0
    colours: float = 10.0


def labels(model: StyleGenerator, ws: Tensor) -> Tensor:
    """y [N, s, s], int64: the likeliest part at each pixel of the pictures of codes [N, num_ws, w_dim].

    Raises `unknown-model` for a model without a segmentation branch.
    """
    return likelihoods(model, ws).argmax(1)


def likelihoods(model: StyleGenerator, ws: Tensor) -> Tensor:
    """The probabilities [N, K, s, s] of the parts, likewise."""
    with torch.no_grad():
        return model.segment(model.synthesise(model.styles(ws))).softmax(1)


def region(y: Tensor, y_edited: Tensor, reach: int, also: Tensor | None = None) -> Tensor:
    """r [N, 1, s, s], bool: the pixels whose label differs, dilated by `reach` pixels on every side.

    also: [N, 1, s, s], 1 for further pixels that were painted.

    The paper takes all pixels of every edited class. A background is such a class as soon as hair grows over
    it, and nothing would then hold the rest of it.
    """
    changed = (y != y_edited)[:, None].float()
    if also is not None:
        changed = torch.maximum(changed, also.to(changed))
    return F.max_pool2d(changed, 2 * reach + 1, stride=1, padding=reach) > 0.0


def outside(values: Tensor, r: Tensor) -> Tensor:
    """The mean of values [N, h, w] over the cells that hold no pixel of r [N, 1, s, s]; 0 where none is."""
    free = 1.0 - F.adaptive_max_pool2d(r.float(), values.shape[-2:])[:, 0]
    return (values * free).sum() / free.sum().clamp(min=1.0)


def features_distance(a: Sequence[Tensor], b: Sequence[Tensor], r: Tensor) -> Tensor:
    """The mean over the blocks of |a/|a| - b/|b||^2 outside of r, for features [N, C_b, s_b, s_b]."""
    distances = [
        outside((F.normalize(x, dim=1) - F.normalize(x0, dim=1)).square().sum(1), r)
        for x, x0 in zip(a, b, strict=True)
    ]
    return torch.stack(distances).mean()


def loss(
    model: StyleGenerator,
    made: Made,
    source: Made,
    y_edited: Tensor,
    r: Tensor,
    settings: Settings,
    identity: Identity | None = None,
    colours: Colours | None = None,
) -> Tensor:
    """L_editing (equations 4 to 6): cross-entropy of the parts inside of r, pictures' terms outside of it.

    Args:
        model: whose branch reads the parts.
        made: the edited picture and its features.
        source: those of the unedited code, without a gradient.
        y_edited: [1, s, s], the wanted labels.
        r: [1, 1, s, s], bool.
        settings: have the weights.
        identity: tells people apart, for the weight `identity`.
        colours: of repainted pixels, for the weight `colours`.
    """
    entropy = F.cross_entropy(model.segment(made), y_edited, reduction="none")
    inside = r[:, 0].float()
    total = settings.parts * (entropy * inside).sum() / inside.sum().clamp(min=1.0)
    if settings.pixels:
        total = total + settings.pixels * outside((made.pictures - source.pictures).square().mean(1), r)
    if settings.features:
        total = total + settings.features * features_distance(made.features, source.features, r)
    if settings.identity and identity is not None:
        alike = (identity(made.pictures) * identity(source.pictures)).sum(1).mean()
        total = total + settings.identity * (1.0 - alike)
    if settings.colours and colours is not None:
        total = total + settings.colours * colouring.loss(made.pictures, colours)
    return total


def changes(
    face: tuple[Tensor, Tensor],
    change: Tensor,
    y: Tensor,
    y_edited: Tensor,
    amount: float,
    near: bool,
    colours: Colours | None = None,
) -> tuple[Tensor, Tensor]:
    """What an edit changes in a layer [1, 3, s, s], and where it is the generator's own picture [1, 1, s, s].

    Where the labels changed, it is the generator's own picture: there the layer's detail belongs to another
    part, as strands of hair under a hat do. Elsewhere the change of the generator's picture is added, so that
    the layer keeps its own detail. Colours that are missing then are added.

    Args:
        face: the layer in its frame and the generator's picture of its code, [1, 3, s, s].
        change: [1, 3, s, s], from the generator's picture of its code to that of the edited code.
        y: [1, s, s], the labels.
        y_edited: [1, s, s], the wanted labels.
        amount: of the edit vector; 0 gives the layer.
        near: whether all changes away from the repainted pixels are left out.
        colours: of the repainted pixels.
    """
    painted = None if colours is None else colours.known
    own = _soft(_own(y, y_edited)) * min(abs(amount), 1.0)
    if near:
        change = change * _soft(region(y, y_edited, _NEAR, painted))
    if colours is None or amount <= 0.0:
        return change, own
    picture, unedited = face
    shown = picture + own * (unedited - picture) + change
    lacking = colouring.missing(shown, colours) * _soft(colours.known > 0.0)
    return change + min(amount, 1.0) * lacking, own


def _own(y: Tensor, y_edited: Tensor) -> Tensor:
    """Where the generator's own picture is shown, [1, 1, s, s], bool: the changed pixels, one around, and
    the rim of the same part beside them, whose dark outline would else stay as a seam."""
    r = region(y, y_edited, _INSIDE)
    for part in y_edited[y != y_edited].unique():
        grown = region(y, torch.where((y_edited == part) & (y != part), part, y), _RIM)
        r = r | (grown & (y == part)[:, None])
    return r


def _soft(r: Tensor) -> Tensor:
    """A region [N, 1, s, s], bool, as float32 with a soft edge two pixels wide on both sides."""
    return F.avg_pool2d(F.pad(r.float(), (2, 2, 2, 2), mode="replicate"), 5, stride=1)


def edit_vector(
    model: StyleGenerator,
    ws: Tensor,
    y: Tensor,
    y_edited: Tensor,
    settings: Settings,
    begun: list[Any],
    after_step: AfterStep,
    identity: Identity | None = None,
    colours: Colours | None = None,
) -> Tensor:
    """delta_w [1, num_ws, w_dim], with which `ws + delta_w` has the wanted parts.

    Args:
        model: the generator, with a segmentation branch.
        ws: [1, num_ws, w_dim], the layer's code.
        y: [1, s, s], its labels.
        y_edited: [1, s, s], the wanted labels.
        settings: of the edit.
        begun: see `velatura.fitting.adam.fit`.
        after_step: called after each step.
        identity, colours: see `loss`.

    Raises `unknown-model` for a model without a segmentation branch.
    """
    with torch.inference_mode(False), torch.no_grad():
        w, target = ws.clone(), y_edited.clone()
        r = region(y.clone(), target, settings.reach, None if colours is None else colours.known)
        if colours is not None:
            colours = colours.copied()
        source = model.synthesise(model.styles(w))
        source = Made(source.pictures.clone(), [x.clone() for x in source.features])

        def gradient(_: int, x: list[Tensor]) -> tuple[Tensor, ...]:
            (delta,) = x
            made = model.synthesise(model.styles(w + delta))
            return torch.autograd.grad(loss(model, made, source, target, r, settings, identity, colours), x)

        def done(i: int, x: list[Tensor]) -> None:
            after_step(i, x[0])

        return fit([torch.zeros_like(w)], gradient, settings.rate, settings.steps, begun, done)[0]
