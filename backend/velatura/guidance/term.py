"""A term of guidance, and the denoiser that adds terms to classifier-free guidance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.attention.places import Attend, Place
from velatura.diffusion.condition import Condition, cat
from velatura.diffusion.denoiser import Denoiser, StepIndex, denoise, guide
from velatura.diffusion.network import Network


@dataclass(frozen=True)
class Look:
    """The predictions of one step, as a term sees them. All are expected clean latents, [N, C, h, w].

    Args:
        x: the latents at the noise level sigma, [N, C, h, w].
        sigma: the noise level.
        at: the sampler's step; None outside of a run.
        D: the prediction after classifier-free guidance.
        D_u: the unconditional prediction; None if no term asked for it and the scale of guidance is 1.
        rows: the predictions for the term's own conditions, in their order.
    """

    x: Tensor
    sigma: float
    at: StepIndex | None
    D: Tensor
    D_u: Tensor | None
    rows: Sequence[Tensor]


class Term(Protocol):
    """A term of guidance. It may hold state from step to step, so each run makes its own.

    Attributes:
        conditions: those of which it needs a prediction in every step, each of one row.
        needs_unconditional: whether it compares with the unconditional prediction, also at scale 1.
        through_network: whether it takes a gradient through the network: then `Look.x` requires gradients,
            and `Look.D`, `Look.D_u` and `Look.rows` are functions of it.
    """

    conditions: Sequence[Condition]
    needs_unconditional: bool
    through_network: bool

    def __call__(self, look: Look) -> Tensor:
        """The change of the guided prediction, [N, C, h, w], which is added to `Look.D`. In terms of the
        predicted noise, a change of it by e is a change of D by -sigma e."""
        ...


@runtime_checkable
class AttentiveTerm(Term, Protocol):
    """A term that reads the attention of its own rows. It cannot change it."""

    def see(self, place: Place, q: Tensor, k: Tensor) -> None:
        """Called at every attention of a step, before the term itself is called.

        Args:
            place: of the attention.
            q: the queries of the term's rows, [rows, heads, L_q, d]: all N of its first condition, then those
                of the next.
            k: the keys, [rows, heads, L_k, d].
        """
        ...


def guided(
    model: Network, cond: Condition, uncond: Condition, scale: float, terms: Sequence[Term]
) -> Denoiser:
    """D with classifier-free guidance and the sum of the terms. All rows of a step share one pass. A
    condition that is used several times, also as `cond` or `uncond`, runs once.

    Terms see the prediction after classifier-free guidance alone, so their order does not matter.

    Args:
        model: denoises.
        cond, uncond: the conditions of classifier-free guidance, one row each.
        scale: of classifier-free guidance; at 1 the unconditional row runs only if a term needs it.
        terms: of this run.
    """
    with_uncond = scale != 1.0 or any(term.needs_unconditional for term in terms)
    used = [cond, *([uncond] if with_uncond else []), *(c for term in terms for c in term.conditions)]
    conditions = list({id(c): c for c in used}.values())
    through_network = any(term.through_network for term in terms)
    attend = _seen_by(terms, conditions)

    def predict(x: Tensor, sigma: float, at: StepIndex | None) -> Tensor:
        c = cat([condition.expand(len(x)) for condition in conditions])
        found = denoise(model, x.repeat(len(conditions), 1, 1, 1), sigma, c, attend).chunk(len(conditions))
        by_condition = dict(zip(map(id, conditions), found, strict=True))
        D_c, D_u = by_condition[id(cond)], by_condition[id(uncond)] if with_uncond else None
        D = D_c if D_u is None or scale == 1.0 else guide(model, x, sigma, D_c, D_u, scale)
        changes: list[Tensor] = []
        for term in terms:
            rows = [by_condition[id(condition)] for condition in term.conditions]
            changes.append(term(Look(x, sigma, at, D, D_u, rows)))
        return D + sum(changes, torch.zeros_like(D))

    def D(x: Tensor, sigma: float, at: StepIndex | None = None) -> Tensor:
        if not through_network:
            return predict(x, sigma, at)
        # a tensor made in inference mode cannot take part in a gradient; a copy made outside of it can
        with torch.inference_mode(False), torch.enable_grad():
            return predict(x.clone().requires_grad_(), sigma, at).detach()

    return D


def _seen_by(terms: Sequence[Term], conditions: Sequence[Condition]) -> Attend | None:
    """Plain attention that shows the terms their rows; None if no term reads them.

    conditions: of a pass, in the order of its rows.
    """
    places = {id(condition): i for i, condition in enumerate(conditions)}
    seers = [
        (term, [places[id(condition)] for condition in term.conditions])
        for term in terms
        if isinstance(term, AttentiveTerm)
    ]
    if not seers:
        return None

    def attend(place: Place, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        groups = q.chunk(len(conditions)), k.chunk(len(conditions))
        for term, numbers in seers:
            q_term, k_term = (torch.cat([group[i] for i in numbers]) for group in groups)
            term.see(place, q_term, k_term)
        return F.scaled_dot_product_attention(q, k, v)

    return attend
