"""StyleCLIP's latent optimisation: one code is led to a text (Patashnik et al. 2021, section 4)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from velatura.clip_guidance.augment import generators
from velatura.clip_guidance.loss import ClipLoss
from velatura.fitting.adam import State, fit, gradients_of
from velatura.generators.styles import StyleGenerator

from .clip_losses import IdentityLoss, Recogniser

RAMP_UP, RAMP_DOWN = 0.05, 0.25
"""Shares of the steps in which the rate rises and falls (published code)."""


@dataclass(frozen=True)
class Settings:
    """Of an optimisation; published values in brackets.

    Args:
        steps: of Adam (300).
        rate: Adam's (.1).
        hold: lambda_L2, of the squared sum of w - w_s over all layers (.008).
        likeness: lambda_ID (0 in the code, which the paper raises where the person matters).
    """

    steps: int
    rate: float
    hold: float
    likeness: float


def rate_at(t: float, rate: float) -> float:
    """The rate at the share t of the steps, in [0, 1]: it rises evenly, then falls along a cosine, as in
    Karras et al. 2020, appendix D."""
    down = min(1.0, (1.0 - t) / RAMP_DOWN)
    return rate * (0.5 - 0.5 * math.cos(math.pi * down)) * min(1.0, t / RAMP_UP)


def optimise(
    model: StyleGenerator,
    ws: Tensor,
    distance: ClipLoss,
    recogniser: Recogniser,
    settings: Settings,
    begun: list[State],
    after_step: Callable[[int, Tensor], None],
) -> Tensor:
    """arg min over w of D_CLIP(G(w), t) + lambda_L2 |w - w_s|^2 + lambda_ID L_ID(w) (eq. 1), as a code
    [1, num_ws, w_dim].

    The paper prints a norm; the published code has its square.

    Args:
        model: G.
        ws: w_s, [1, num_ws, w_dim].
        distance: D_CLIP (`clip_losses.d_clip`).
        recogniser: R.
        settings: of the optimisation.
        begun: as in `velatura.fitting.adam.fit`.
        after_step: gets the number of a finished step, from 1, and the present code. It may raise to stop.
    """
    with torch.inference_mode(False), torch.no_grad():
        ws = ws.clone()
        likeness = None
        if settings.likeness:
            likeness = IdentityLoss.of(recogniser, model.synthesise(model.styles(ws)).pictures)

        search = model.for_search()

        def loss(i: int, values: list[Tensor]) -> Tensor:
            (w,) = values
            pictures = search.synthesise(model.styles(w)).pictures
            # a generator of its own for each step: a resumed run then sees the views of an uninterrupted one
            total = distance(pictures, generators([i])).sum() + settings.hold * (w - ws).square().sum()
            return total if likeness is None else total + settings.likeness * likeness(pictures).sum()

        (w,) = fit(
            [ws],
            gradients_of(loss),
            lambda i: rate_at(i / settings.steps, settings.rate),
            settings.steps,
            begun,
            lambda i, x: after_step(i, x[0]),
        )
        return w
