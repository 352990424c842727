"""StyleCLIP's global directions: a text as one direction in the style space S (Patashnik et al. 2021,
section 6)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.cache.values import storable
from velatura.clip_guidance.loss import Encoder, wanted
from velatura.generators.styles import StyleGenerator

from .clip_losses import area

PSI = 0.7  # truncation of the sampled codes
FIRST = 1 << 20  # seed of the first picture; the codes of the deviations have the seeds from 0 on
CODES = 64  # mapped at once

_KINDS = (
    "photo",
    "good photo",
    "bad photo",
    "bright photo",
    "dark photo",
    "blurry photo",
    "cropped photo",
    "close-up photo",
    "low resolution photo",
    "black and white photo",
    "snapshot",
    "portrait",
    "picture",
    "painting",
    "drawing",
    "sketch",
    "cartoon",
    "rendering",
)
TEMPLATES = tuple(f"a {kind} of {article} {{}}" for kind, article in product(_KINDS, ("a", "the")))
"""Sentences about the thing {}, a noun without an article; the published set is 79 for ImageNet's classes."""

AfterStep = Callable[[int, int], None]
"""after_step(i, n): called when part i of n, from 1, is done. It may raise to stop."""


@storable("channel-relevance")
@dataclass(frozen=True)
class Relevance:
    """How the channels of S change what CLIP sees.

    Args:
        deviations: of each channel in each place of S, [C_l].
        unit: for the channels of the convolutions, in their order, the mean direction [C, d] in which CLIP's
            vector moves, of unit length; 0 for a channel that moves nothing.
        effect: for the same channels, the mean move [C, d] for one deviation, to first order.
    """

    deviations: list[Tensor]
    unit: Tensor
    effect: Tensor


def deviations(model: StyleGenerator, count: int, after_step: AfterStep) -> list[Tensor]:
    """The standard deviation of each channel of S, [C_l] for each place, over `count` sampled codes."""
    total: list[Tensor] = []
    squares: list[Tensor] = []
    for first in range(0, count, CODES):
        seeds = range(first, min(first + CODES, count))
        S = [s.double() for s in model.styles(model.wplus(model.sample(seeds, PSI)))]
        if not total:
            total, squares = [torch.zeros_like(s[0]) for s in S], [torch.zeros_like(s[0]) for s in S]
        for sums, powers, s in zip(total, squares, S, strict=True):
            sums += s.sum(0)
            powers += s.square().sum(0)
        after_step(seeds.stop, count)
    found = zip(total, squares, strict=True)
    return [((q - t.square() / count) / count).clamp(min=0.0).sqrt().float() for t, q in found]


def measure(
    model: StyleGenerator,
    encoder: Encoder,
    sigma: Sequence[Tensor],
    pictures: int,
    begun: list[Tensor],
    after_step: AfterStep,
    batch: int = 8,
) -> Relevance:
    """The direction in which each channel moves CLIP's vector, from some sampled pictures.

    The direction of channel c is the mean over the pictures of the unit vector of dE(G(s)) / ds_c, with E of
    unit length, and has unit length itself. The paper takes the difference E(G(s + 5 sigma_c)) -
    E(G(s - 5 sigma_c)), which needs two pictures for each channel; here one pass back for each number of E
    gives the derivatives of all channels at once.

    Args:
        model: G.
        encoder: E.
        sigma: `deviations`.
        pictures: sampled codes (published: 100).
        begun: of each batch that an earlier call measured, the sums [2, C, d] over its pictures of the unit
            vectors and of the derivatives; it grows.
        after_step: called after each pass back.
        batch: pictures that are made at once.
    """
    seen = area(encoder.side)
    firsts = range(0, pictures, batch)
    with torch.inference_mode(False), torch.enable_grad():
        for number in range(len(begun), len(firsts)):
            first = FIRST + firsts[number]
            seeds = range(first, min(first + batch, FIRST + pictures))
            with torch.no_grad():
                ws = model.wplus(model.sample(seeds, PSI)).clone()
                S = [s.clone().requires_grad_() for s in model.styles(ws)]
            x = (model.synthesise(S).pictures + 1.0) / 2.0
            vectors = encoder.images(seen(x, ())[:, 0])
            d = vectors.shape[1]
            moved = [S[place] for place in model.convolutions]
            rows: list[Tensor] = []
            for k in range(d):
                found = torch.autograd.grad(vectors[:, k].sum(), moved, retain_graph=k < d - 1)
                rows.append(torch.cat(found, 1))
                after_step(number * d + k + 1, len(firsts) * d)
            derivative = torch.stack(rows, -1)  # [N, C, d]
            begun.append(torch.stack([F.normalize(derivative, dim=-1), derivative]).sum(1))
        unit, derivative = torch.stack(begun).sum(0) / pictures
        own = torch.cat([sigma[place] for place in model.convolutions])
        return Relevance(list(sigma), F.normalize(unit, dim=-1), own[:, None] * derivative)


def text_vector(encoder: Encoder, text: str, templates: Sequence[str], name: str) -> Tensor:
    """CLIP's vector [d] of a text, of unit length: the mean over the templates, or of the text as it is.

    Args:
        encoder: CLIP.
        text: in templates it loses its article, for which they have a place.
        templates: with {} for the text; none: the text as it is.
        name: of the text for the person.

    Raises `prompt-too-long`.
    """
    if not templates:
        return wanted(encoder, text, name)
    thing = _without_article(text)
    vectors = [wanted(encoder, template.format(thing), name) for template in templates]
    return F.normalize(torch.stack(vectors).mean(0), dim=0)


def _without_article(text: str) -> str:
    first, _, rest = text.strip().partition(" ")
    return rest if rest and first.lower() in ("a", "an", "the") else text.strip()


def text_direction(
    encoder: Encoder, neutral: str, target: str, templates: Sequence[str], names: tuple[str, str]
) -> Tensor:
    """Delta t, [d], of unit length: from the neutral text to the target.

    names: of both texts for the person. Raises `prompt-too-long`.
    """
    vectors = (
        text_vector(encoder, text, templates, name)
        for text, name in zip((neutral, target), names, strict=True)
    )
    before, after = vectors
    return F.normalize(after - before, dim=0)


def direction(model: StyleGenerator, relevance: Relevance, delta_t: Tensor, beta: float) -> list[Tensor]:
    """Delta s, [C_l] for each place of S.

    A channel with |R_c| < beta, where R_c = <unit_c, Delta t>, stays. The others move by <effect_c, Delta t>,
    divided by the largest magnitude, times the channel's deviation. In the paper they move by R_c in place of
    the effect, so that channels which hardly change anything move as far as those that do. Places of colours
    are 0, and all of it where no channel is left.
    """
    delta_t = delta_t.to(relevance.unit)
    size = relevance.effect @ delta_t
    size = torch.where((relevance.unit @ delta_t).abs() < beta, torch.zeros_like(size), size)
    size = size / size.abs().max().clamp(min=1e-12)
    found = [torch.zeros_like(sigma) for sigma in relevance.deviations]
    sizes = [len(found[place]) for place in model.convolutions]
    for place, part in zip(model.convolutions, size.split(sizes), strict=True):
        found[place] = part * relevance.deviations[place]
    return found


def step(
    delta_s: Sequence[Tensor], deviations: Sequence[Tensor], alpha: float, farthest: float
) -> list[Tensor]:
    """The step in S at a strength, [C_l] for each place: alpha Delta s, but no channel goes farther than
    `farthest` of its deviations, which it nears along a hyperbolic tangent.

    The paper's step has no limit, so that a channel leaves the range in which the generator was trained.

    Args:
        delta_s: `direction`.
        deviations: of the channels (`Relevance`).
        alpha: the strength; below 0 the step leads the other way.
        farthest: above 0.
    """
    steps: list[Tensor] = []
    for d, sigma in zip(delta_s, deviations, strict=True):
        limit = farthest * sigma.clamp(min=1e-12)
        steps.append(limit * torch.tanh(alpha * d / limit))
    return steps


def moved(styles: Sequence[Tensor], step: Sequence[Tensor]) -> list[Tensor]:
    """s + a step, [N, C_l] for each place."""
    return [s + d.to(s) for s, d in zip(styles, step, strict=True)]
