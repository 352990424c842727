"""The common part of StyleCLIP's three methods: their fields, and the networks that judge."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import fields
from .base import Context

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.generators.styles import StyleGenerator
    from velatura.stylespace.clip_losses import Recogniser


def amount(default: float, description: str) -> Any:
    """The share of a found change, in per cent."""
    return fields.slider(default, -100.0, 200.0, 5.0, "How much", description)


def person(default: float) -> Any:
    """lambda_ID."""
    return fields.slider(
        default,
        0.0,
        2.0,
        0.05,
        "Keep the person",
        "How firmly the face stays the same person. Some changes, such as age, cannot be had at high values.",
    )


def views(default: int) -> Any:
    """Views of the picture in each step."""
    return fields.whole(
        default,
        1,
        16,
        "Looks",
        "In how many views each step looks at the face. More is slower, and surer to change the face itself.",
        advanced=True,
    )


def rate(default: float, most: float) -> Any:
    """Adam's rate."""
    return fields.slider(
        default,
        0.005,
        most,
        0.005,
        "Stride",
        "How far each step goes. Long strides miss details.",
        advanced=True,
    )


def recogniser(context: Context) -> Recogniser:
    """R: the model's identity encoder; without one its CLIP, which sees more than the person."""
    return context.identity or context.clip


def eyes(model: StyleGenerator, context: Context) -> list[Tensor]:
    """What CLIP and the recogniser see of the mean face: part of the key of a value that depends on both."""
    import torch

    with torch.no_grad():
        mean = model.synthesise(model.styles(model.wplus(model.w_avg[None]))).pictures.clamp(-1.0, 1.0)
        return [network.images((mean + 1.0) / 2.0) for network in (context.clip, recogniser(context))]
