"""Where an edit takes the place of what a layer shows, and where it only changes its look."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.generators.styles import Made, StyleGenerator

from .frames import Frame

_OTHER, _SURELY = 0.1, 0.6  # total variation of a pixel's parts: from here on another part, and wholly so
_STRONG, _STRONGEST = 0.4, 0.8  # the same for a model without parts, of colours in [-1, 1]


def parts_of(model: StyleGenerator, made: Made) -> Tensor | None:
    """The probabilities [N, K, s, s] of the K parts at each pixel; None for a model without parts."""
    if not model.parts:
        return None
    with torch.no_grad():
        return model.segment(made).softmax(1)


def replaced(change: Tensor, before: Tensor | None, after: Tensor | None) -> Tensor:
    """How far each pixel shows another thing after an edit, [N, 1, s, s] in [0, 1], with a soft edge.

    It is the total variation between the distributions of the pixel's parts, so a new colour of the hair
    replaces nothing and a hat over the hair does. Without parts, the size of the change stands in.

    Args:
        change: [N, 3, s, s], of colours in [-1, 1].
        before, after: probabilities of the parts, [N or 1, K, s, s].
    """
    if before is None or after is None:
        amount, low, high = change.abs().amax(1, keepdim=True), _STRONG, _STRONGEST
    else:
        amount, low, high = (after - before).abs().sum(1, keepdim=True) / 2.0, _OTHER, _SURELY
    grown = F.max_pool2d(amount, 3, stride=1, padding=1)
    sure = ((grown - low) / (high - low)).clamp(0.0, 1.0)
    return F.avg_pool2d(F.pad(sure, (1, 1, 1, 1), mode="replicate"), 3, stride=1)


def laid_in(image: Tensor, frame: Frame, unedited: Tensor, change: Tensor, own: Tensor) -> Tensor:
    """A layer [1, 3, h, w] with an edit in a frame, [N, 3, h, w]: bitwise the layer away from it.

    Where `own` is 1 it is the generator's edited picture; where it is 0 the change is added to the layer.
    Between them the two are mixed, with premultiplied colours (Porter & Duff 1984, section 4.1), so that no
    resampling brings in colours from beyond the edge.

    Args:
        image: the layer.
        frame: the square in it.
        unedited: [1, 3, s, s], the generator's picture of the layer.
        change: [N, 3, s, s], what the edit changes in this picture.
        own: [N, 1, s, s] in [0, 1].
    """
    put = frame.put(torch.cat([change + own * unedited, own], 1), (image.shape[-2], image.shape[-1]))
    return image + put[:, :3] - put[:, 3:] * image
