"""Semantic guidance: the pull of each concept, and their sum with momentum.

Brack et al. 2023, SEGA: Instructing Text-to-Image Models using Semantic Guidance (arXiv:2301.12247), in terms
of the predicted noise e = (x - D) / sigma. The psi of a concept is e(x; concept) - e(x; no concept), and

    gamma = mu s_e psi,  mu = 1 where |psi| >= its lambda-quantile over h x w, else 0       (eq. 5 and 6)
    total = sum_i g_i gamma_i + s_m nu,  nu <- beta nu + (1 - beta) total                   (eq. 7 to 9)

mu does not depend on s_e, so psi can be kept while s_e changes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from velatura.diffusion.condition import Condition
from velatura.guidance.term import Look


@dataclass(frozen=True, eq=False)
class Concept:
    """A concept and its settings.

    Args:
        more: the concept's condition, one row.
        less: the condition that it is compared with, one row; None: the unconditional one, as published.
        scale: s_e; a negative one leads away from the concept.
        threshold: lambda, the share of the places that take no part, in [0, 1).
        begin: the first step in which it acts, from 0 (the warm-up, delta).
        end: the first step in which it no longer acts (the cool-down).
        weight: g, at least 0.
        where: [1, 1, h, w] in [0, 1], multiplied into its guidance; None: everywhere.
    """

    more: Condition
    less: Condition | None = None
    scale: float = 5.0
    threshold: float = 0.9
    begin: int = 0
    end: int = 10**6
    weight: float = 1.0
    where: Tensor | None = None

    def acts(self, i: int) -> bool:
        """Whether it acts in step i."""
        return self.begin <= i < self.end


@dataclass(frozen=True)
class Momentum:
    """scale: s_m; 0: no momentum. beta: the share of the earlier momentum that stays, in [0, 1)."""

    scale: float = 0.0
    beta: float = 0.4


class Semantic:
    """The guidance of several concepts, a `guidance.term.Term`. It holds the momentum, so each run makes one.

    While not all concepts are warm, those that are act, without momentum; the others feed the momentum. A
    concept that has cooled down neither acts nor feeds it. The published code then takes a mean, weighted by
    g, in place of the sum, which divides by 0 if the only warm concept has cooled down; here it is the sum of
    the paper at all times, which is finite for any windows.

    Args:
        concepts: those that act in no step, whose scale or weight is 0 or whose `where` is 0 everywhere are
            left out.
        momentum: one for all.
        selected: [1, 1, h, w] in [0, 1], the places of the picture that may change; None: all. A concept's
            quantile counts only places in it and in the concept's own `where`, so that the threshold keeps
            the same share of the places for a small mask as for the whole picture.
    """

    through_network = False

    def __init__(
        self, concepts: Sequence[Concept], momentum: Momentum | None = None, selected: Tensor | None = None
    ) -> None:
        # this waits for the device, once, before the first step
        cells = [_cells(concept.where, selected) for concept in concepts]
        pairs = [
            (concept, of)
            for concept, of in zip(concepts, cells, strict=True)
            if concept.begin < concept.end and concept.weight * concept.scale and (of is None or len(of))
        ]
        self._parts = {id(concept): _Part(concept, of) for concept, of in pairs}
        self.concepts = [concept for concept, _ in pairs]
        self.momentum = Momentum() if momentum is None else momentum
        self.conditions: Sequence[Condition] = _distinct(self.concepts)
        self.needs_unconditional = any(concept.less is None for concept in self.concepts)
        self._nu: Tensor | None = None
        self.guidance: Tensor | None = None
        """The guidance of the last step, [N, C, h, w] in terms of the predicted noise."""

    @property
    def begin(self) -> int:
        """The first step in which a concept acts; a very large number where there are none."""
        return min((concept.begin for concept in self.concepts), default=Concept.end)

    def needed(self, i: int) -> list[Concept]:
        """The concepts of which step i needs a prediction: those that act, and with momentum those that feed
        it."""
        if self.momentum.scale:
            return [concept for concept in self.concepts if i < concept.end]
        return [concept for concept in self.concepts if concept.acts(i)]

    def at(self, i: int) -> Now:
        """The term of step i alone, whose conditions are only those that this step needs."""
        return Now(self, i)

    def __call__(self, look: Look) -> Tensor:
        """The change of D; see `guidance.term.Term`."""
        return self.at(look.at.i if look.at is not None else self.begin).of(look, self.conditions)

    def add(self, i: int, psi: Sequence[Tensor], like: Tensor) -> Tensor:
        """The guidance of step i, [N, C, h, w], and the momentum after it.

        Args:
            i: the step; each is added once, in order.
            psi: of each concept that the step needs, [N, C, h, w]; see `needed`.
            like: a tensor of that shape.
        """
        acting, summed = torch.zeros_like(like), torch.zeros_like(like)
        for concept, one in zip(self.needed(i), psi, strict=True):
            gamma = self._parts[id(concept)].gamma(one)
            summed = summed + gamma
            if concept.acts(i):
                acting = acting + gamma
        if self.momentum.scale:
            nu = torch.zeros_like(like) if self._nu is None else self._nu
            summed = summed + self.momentum.scale * nu
            self._nu = self.momentum.beta * nu + (1.0 - self.momentum.beta) * summed
            if all(i >= concept.begin for concept in self.concepts):
                acting = summed
        self.guidance = acting
        return acting


class Now:
    """`Semantic` in one step, also a `guidance.term.Term`."""

    through_network = False

    def __init__(self, semantic: Semantic, i: int) -> None:
        self._semantic, self._i = semantic, i
        self.concepts = semantic.needed(i)
        self.conditions: Sequence[Condition] = _distinct(self.concepts)
        self.needs_unconditional = any(concept.less is None for concept in self.concepts)

    def __call__(self, look: Look) -> Tensor:
        """The change of D; see `guidance.term.Term`."""
        return self.of(look, self.conditions)

    def of(self, look: Look, conditions: Sequence[Condition]) -> Tensor:
        """The change of D, where the rows of `look` are of these conditions."""
        return -look.sigma * self._semantic.add(self._i, psis(self.concepts, conditions, look), look.D)


def psis(concepts: Sequence[Concept], conditions: Sequence[Condition], look: Look) -> list[Tensor]:
    """psi of each concept, [N, C, h, w]. conditions: those of `Look.rows`."""
    rows = {id(condition): row for condition, row in zip(conditions, look.rows, strict=True)}
    found: list[Tensor] = []
    for concept in concepts:
        against = look.D_u if concept.less is None else rows[id(concept.less)]
        if against is None:
            raise ValueError("a concept is compared with the unconditional prediction, which is missing")
        found.append((against - rows[id(concept.more)]) / look.sigma)
    return found


class _Part:
    """A concept with its places."""

    def __init__(self, concept: Concept, cells: Tensor | None) -> None:
        """cells: [K], the indices into h x w over which the quantile is taken; None: all."""
        self.concept, self._cells = concept, cells

    def gamma(self, psi: Tensor) -> Tensor:
        """g mu s_e psi, [N, C, h, w]. The comparison stays on the device."""
        size = psi.abs()
        counted = size.flatten(2) if self._cells is None else size.flatten(2)[..., self._cells]
        least = torch.quantile(counted.float(), self.concept.threshold, dim=2).to(psi.dtype)
        factor = self.concept.weight * self.concept.scale
        gamma = torch.where(size >= least[..., None, None], factor * psi, torch.zeros_like(psi))
        return gamma if self.concept.where is None else self.concept.where * gamma


def _cells(where: Tensor | None, selected: Tensor | None) -> Tensor | None:
    masks = [mask for mask in (where, selected) if mask is not None]
    if not masks:
        return None
    inside = torch.stack([mask.flatten() > 0.0 for mask in masks]).all(0)
    return inside.nonzero().flatten()


def _distinct(concepts: Sequence[Concept]) -> list[Condition]:
    """The conditions of the concepts, each object once."""
    both = [condition for concept in concepts for condition in (concept.more, concept.less)]
    return list({id(condition): condition for condition in both if condition is not None}.values())
