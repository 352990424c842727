"""LEDITS++: concepts with implicit masks guide an inverted picture (Brack et al. 2024, section 4).

The guidance of a concept e is (eq. 8 to 12), in terms of the predicted noise,

    gamma = s_e M1 M2 (eps(x, c_e) - eps(x)).

M1 is where the concept's words attend to, M2 where the noise estimate changes most. Both are 1 at the places
above the quantile lambda. D is affine in eps, so the change of D is s_e M1 M2 (D_e - D_u).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.attention.joint import Blocks, word_columns
from velatura.attention.places import Place, halved, map_level
from velatura.diffusion import schedule
from velatura.diffusion.blending import blend
from velatura.diffusion.condition import Condition
from velatura.diffusion.denoiser import Denoiser, StepIndex
from velatura.diffusion.network import LatentDiffusion
from velatura.guidance.term import Look, guided
from velatura.inversion.ledits import Inverted

BOTH_UNTIL = 0.8
"""The share of the training times up to which M2 counts; above it there is too much noise to look at."""


@dataclass(frozen=True)
class Concept:
    """A concept of an edit.

    Args:
        c: its text, one row.
        content: the tokens of the text, without marks and padding (`Tokenized.words`).
        scale: s_e; below 0 the edit leads away from the concept.
        threshold: lambda, the share of places that its masks leave out, in [0, 1].
        first, last: the steps at which it counts, first <= i < last.
        where: how much it counts at each place, [1, 1, h, w] in [0, 1]; None: 1. The quantiles are then those
            of the places above 0.
    """

    c: Condition
    content: Sequence[int]
    scale: float
    threshold: float
    first: int
    last: int
    where: Tensor | None = None

    @property
    def steps(self) -> range:
        """The steps at which it changes anything."""
        return range(self.first, self.last if self.scale else self.first)


class Step(NamedTuple):
    """Step i of n, from 0; expected: the clean latents that it predicts, [B, C, h, w]."""

    i: int
    n: int
    expected: Tensor


class Concepts:
    """The term of guidance of several concepts; see `velatura.guidance.term.AttentiveTerm`.

    Args:
        model: reads the concepts' attention at the level of `map_level`.
        concepts: at least one.
        size: (h, w) of the latents.
        needs_unconditional: False if the run's guided prediction is the unconditional one.
    """

    through_network = False

    def __init__(
        self,
        model: LatentDiffusion,
        concepts: Sequence[Concept],
        size: tuple[int, int],
        *,
        needs_unconditional: bool = True,
    ) -> None:
        self.concepts, self.needs_unconditional = concepts, needs_unconditional
        self.conditions: Sequence[Condition] = [concept.c for concept in concepts]
        self.changed: Tensor | None = None
        """Whether each variation was changed in the last step, bool [B, 1, 1, 1]."""
        self._blocks = model.joint_blocks or Blocks()
        self._trained = model.training_sigmas
        self._level = map_level(model.latent_size, model.attention_levels)
        self._grid = halved(size[0], self._level), halved(size[1], self._level)
        self._maps: list[Tensor] = []

    def see(self, place: Place, q: Tensor, k: Tensor) -> None:
        """Gathers the probabilities of each concept's own tokens: mean over heads."""
        if place.level != self._level or not self._reads(place):
            return
        n = len(self.concepts)
        w = torch.zeros(1 + max(max(concept.content, default=0) for concept in self.concepts), n)
        for column, concept in enumerate(self.concepts):
            w[list(concept.content), column] = 1.0
        sums = word_columns(place, q, k, w)  # [n B, heads, places, n]
        sums = sums.float().mean(1).unflatten(0, (n, -1))
        self._maps.append(torch.stack([sums[e, ..., e] for e in range(n)]))

    def _reads(self, place: Place) -> bool:
        if place.kind == "joint":
            return self._blocks.reads(place.name)
        return place.kind == "cross"

    def __call__(self, look: Look) -> Tensor:
        """The sum of the concepts' changes of D, [B, C, h, w]."""
        maps, self._maps = torch.stack(self._maps).mean(0).unflatten(-1, self._grid), []
        D_u = look.D if look.D_u is None else look.D_u
        total = torch.zeros_like(look.D)
        for concept, D_e, at in zip(self.concepts, look.rows, maps, strict=True):
            psi = D_e - D_u
            mask = attention_mask(at, concept, (psi.shape[-2], psi.shape[-1]))
            if schedule.time(self._trained, look.sigma) <= BOTH_UNTIL * len(self._trained):
                mask = mask * above(psi.abs().sum(1, keepdim=True), concept.threshold, concept.where)
            total = total + concept.scale * mask * psi
        self.changed = (total != 0.0).flatten(1).any(1)[:, None, None, None]
        return total


def attention_mask(maps: Tensor, concept: Concept, size: tuple[int, int]) -> Tensor:
    """M1 of one concept, [B, 1, h, w], times `Concept.where`.

    The published steps: smoothing by 3 x 3, the quantile at the maps' size, nearest to the latents' size.

    Args:
        maps: the probability of its tokens, [B, h', w'].
        concept: gives the threshold and the places.
        size: (h, w).
    """
    smooth = smoothed(maps[:, None])
    where = concept.where
    small = None if where is None else F.adaptive_max_pool2d(where, (maps.shape[-2], maps.shape[-1]))
    mask = F.interpolate(above(smooth, concept.threshold, small), size)
    return mask if where is None else mask * where


def above(values: Tensor, quantile: float, where: Tensor | None = None) -> Tensor:
    """1 where a value is at least the quantile of its row, else 0, [B, 1, h, w].

    where: [1, 1, h, w]; the quantile is that of the places above 0. With a painted place the published code
    counts the places outside of it as values of 0, so a small place is taken whole or not at all.
    """
    counted = values if where is None else values.where(where > 0.0, torch.nan)
    threshold = torch.nanquantile(counted.flatten(1), quantile, dim=1)[:, None, None, None]
    return (values >= threshold).to(values)


def smoothed(maps: Tensor) -> Tensor:
    """Maps [B, 1, h', w'] smoothed by the published kernel of 3 x 3: exp(-(dx^2 + dy^2)), sum 1."""
    d = torch.arange(-1, 2, device=maps.device, dtype=maps.dtype)
    row = torch.exp(-(d**2))
    kernel = row[:, None] * row
    mode = "reflect" if min(maps.shape[-2:]) > 1 else "replicate"
    return F.conv2d(F.pad(maps, (1, 1, 1, 1), mode=mode), (kernel / kernel.sum())[None, None])


@dataclass(frozen=True)
class Base:
    """Classifier-free guidance of the source, the same in its inversion and in an edit.

    Args:
        c: the picture's caption, one row.
        uncond: the condition that guidance leads away from, and that concepts are compared with.
        scale: of guidance; 1 if both conditions are the same.
    """

    c: Condition
    uncond: Condition
    scale: float


def edit(
    model: LatentDiffusion,
    source: Inverted,
    base: Base,
    concepts: Sequence[Concept],
    m: Tensor,
    after_step: Callable[[Step], None],
) -> Tensor:
    """The edited latents [B, C, h, w].

    Steps before the first concept's window are replayed without a network. A variation that nothing has
    changed ends on z0 bit for bit, and so does every place where m is 0, at every step.

    Args:
        model: denoises.
        source: the picture's inversion, made with the same base.
        base: the source's guidance.
        concepts: those without an effect cost nothing.
        m: the selection at the latents' size, [1, 1, h, w] in [0, 1].
        after_step: called after each step that runs.
    """
    n, z0 = source.steps, source.z0
    concepts = [concept for concept in concepts if concept.steps]
    first = min((concept.first for concept in concepts), default=n)
    x, D_last = source.x[first], source.before(first)
    touched = torch.zeros(len(z0), 1, 1, 1, dtype=torch.bool, device=z0.device)
    size = z0.shape[-2], z0.shape[-1]
    plain = base.c is base.uncond
    passes: dict[tuple[int, ...], tuple[Concepts | None, Denoiser]] = {}
    for i in range(first, n):
        key = tuple(e for e, concept in enumerate(concepts) if i in concept.steps)
        if key not in passes:
            active = [concepts[e] for e in key]
            term = Concepts(model, active, size, needs_unconditional=not plain) if active else None
            passes[key] = term, guided(model, base.c, base.uncond, base.scale, [term] if term else [])
        term, denoise = passes[key]
        predicted = denoise(x, source.sigmas[i], StepIndex(i, n))
        if term is not None and term.changed is not None:
            touched = touched | term.changed
        # a pass of more rows rounds otherwise, so an untouched variation takes the recorded prediction
        D = predicted.where(touched, source.D[i])
        x = blend(source.next(i, x, D, D_last), source.x[i + 1], m)
        D_last = D
        after_step(Step(i, n, blend(D, z0, m)))
    return x
