"""The run of an edit by a flow: FlowAlign, FlowSlider and FlowEdit, which differ in what they pull with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.attention.places import Attend, Place
from velatura.diffusion.condition import cat
from velatura.diffusion.denoiser import denoise, guide
from velatura.diffusion.network import Network
from velatura.prompt_to_prompt.control import Branch, steps_within
from velatura.prompt_to_prompt.features import Need

from . import pull
from .source import Source


class Dial(NamedTuple):
    """A direction between two texts, and how far to go along it: strength (D(p; toward) - D(p; away)).

    strength: w of FlowAlign, s of FlowSlider; below 0 the other way. 0 leaves the layer as it is.
    """

    away: str
    toward: str
    strength: float


class Step(NamedTuple):
    """Step i of n (from 0) is done; expected: the edited latents as the model expects them, [N, C, h, w]."""

    i: int
    n: int
    expected: Tensor


AfterStep = Callable[[Step], None]
_SELF = Need(self_=1.0)
"""Queries and keys of self-attention at every place."""


class Pulls(NamedTuple):
    """What is asked of the model in every step.

    dials: all in one batched pass. held_to: c_neg, the text at which the picture is kept; mostly the layer's
    caption. zeta: FlowAlign's pull of the predicted picture to the source, in [0, 1). focused: whether the
    edit keeps to where the dials pull (`pull.focus`). self_until: the share of the steps, from the first, in
    which self-attention's queries and keys are the source's, as Prompt-to-Prompt injects them (Hertz et al.
    2022, section 3.2). Neither is part of the published updates.
    """

    dials: Sequence[Dial]
    held_to: str
    zeta: float = 0.0
    focused: bool = False
    self_until: float = 0.0


def edit(
    model: Network, source: Source, pulls: Pulls, after_step: AfterStep, m: Tensor | None = None
) -> Tensor:
    """FlowAlign and FlowSlider, see `pull`. Returns the edited latents [N, C, h, w]; z0 itself where nothing
    pulls.

    Args:
        model: any that denoises; with self_until one whose attention can be replaced.
        source: of which D is filled in where it is not known yet.
        after_step: sees each step; may raise, to stop.
        m: where the layer may change and how much, [1, 1, h, w] in [0, 1]; None: everywhere. Where it is 0
            the latents stay z0, bit for bit; between, dials are so much weaker.

    A step costs a row for each text that is not known: c_neg and each dial's two in one pass, c_src in one of
    its own until D(q; c_src) is known. While nothing has moved, p is q, and c_src need not be asked again.
    """
    dials = [dial for dial in pulls.dials if dial.strength and dial.away != dial.toward]
    if not dials and pulls.held_to == source.caption:
        return source.z0.expand(source.variations, -1, -1, -1).clone()
    injected = steps_within(pulls.self_until, len(source.sigmas) - 1)
    return _edit(model, source, pulls._replace(dials=dials), injected, after_step, m)


def _edit(
    model: Network, source: Source, pulls: Pulls, injected: int, after_step: AfterStep, m: Tensor | None
) -> Tensor:
    dials = pulls.dials
    delta = torch.zeros_like(source.q(0)[:: source.noises])
    ratios = pull.ratios(source.sigmas)
    moved, pulled = False, 0.0
    for i, r in enumerate(ratios):
        at = _Asked(model, source, i, delta if moved else None, injects=i < injected)
        D_src, D_neg = at.source(), at.edit(pulls.held_to)
        steered = [(at.edit(dial.toward), at.edit(dial.away), dial.strength) for dial in dials]
        at.ask()
        steering = sum(strength * (toward() - away()) for toward, away, strength in steered)
        if m is not None:
            steering = m * steering  # before the focus: what pulls outside must not take from what is inside
        R = D_neg() - D_src() + steering
        R = _averaged(R, source)
        if pulls.focused and dials:
            pulled = pulled + _averaged(steering, source).square().mean(1, keepdim=True).sqrt()
            R = pull.focus(pulled) * R
        delta = pull.step(delta, R, r, pulls.zeta)
        if m is not None:
            delta = torch.where(m > 0.0, delta, 0.0)
        moved = True
        after_step(Step(i, len(ratios), source.z0 + R))
    return source.z0 + delta


def plain(
    model: Network,
    source: Source,
    wanted: str,
    guidances: tuple[float, float],
    after_step: AfterStep,
    m: Tensor | None = None,
    share: float = 1.0,
) -> Tensor:
    """FlowEdit, see `pull`. Returns the edited latents [N, C, h, w]; z0 itself where both captions are one,
    or the share is 0.

    Args:
        wanted: c_tar.
        guidances: scales of classifier-free guidance of the source and of the edit, away from the empty text.
        m: as in `edit`.
        after_step: as in `edit`.
        share: of R, in [0, 1]: below 1 the edit goes only so far.

    What is kept of the source is D(q; c_src) without guidance, as in `edit`.
    """
    if wanted == source.caption or not share:
        return source.z0.expand(source.variations, -1, -1, -1).clone()
    ratios = pull.ratios(source.sigmas)
    delta = torch.zeros_like(source.q(0)[:: source.noises])
    scale_src, scale_tar = guidances
    for i, r in enumerate(ratios):
        at = _Asked(model, source, i, delta)
        D_src, D_tar = at.source(), at.edit(wanted)
        away_src = at.at_source("") if scale_src != 1.0 else D_src
        away_tar = at.edit("") if scale_tar != 1.0 else D_tar
        at.ask()
        sigma = source.sigmas[i]
        R = guide(model, at.p, sigma, D_tar(), away_tar(), scale_tar) if scale_tar != 1.0 else D_tar()
        R = R - (guide(model, at.q, sigma, D_src(), away_src(), scale_src) if scale_src != 1.0 else D_src())
        R = share * _averaged(R, source)
        delta = pull.step(delta, R, r)
        if m is not None:
            delta = torch.where(m > 0.0, delta, 0.0)
        after_step(Step(i, len(ratios), source.z0 + R))
    return source.z0 + delta


def _averaged(R: Tensor, source: Source) -> Tensor:
    """The mean over each variation's noises: [N * noises, C, h, w] to [N, C, h, w]."""
    return R.unflatten(0, (-1, source.noises)).mean(1)


class _Asked:
    """The texts that one step asks the model about, each once."""

    def __init__(
        self, model: Network, source: Source, i: int, delta: Tensor | None, *, injects: bool = False
    ) -> None:
        """delta: [N, C, h, w]; None where nothing has moved, so that p is q. injects: whether p's queries and
        keys of self-attention are q's."""
        self._model, self._source, self._i = model, source, i
        self._sigma = source.sigmas[i]
        self.q = source.q(i)
        self._is_source = delta is None
        self._injects = injects
        if delta is None:
            self.p = self.q
        else:
            self.p = pull.displaced(self.q, delta.repeat_interleave(source.noises, 0), self._sigma)
        self._rows: dict[tuple[bool, str], Tensor | None] = {}
        self._branches: dict[str, Branch] = {}  # of this step, whether they are kept or not

    def source(self) -> Callable[[], Tensor]:
        """D(q; c_src), known or to be asked."""
        key = (True, self._source.caption)
        self._rows[key] = self._source.D[self._i]
        return lambda: self._rows[key]

    def at_source(self, text: str) -> Callable[[], Tensor]:
        """D(q; text)."""
        return self._row((True, text))

    def edit(self, text: str) -> Callable[[], Tensor]:
        """D(p; text)."""
        return self._row((self._is_source, text))

    def _row(self, key: tuple[bool, str]) -> Callable[[], Tensor]:
        self._rows.setdefault(key, None)
        return lambda: self._rows[key]

    def ask(self) -> None:
        """Computes what is not known: D(q; c_src) in a pass of its own, all else in one. So what an edit's
        own texts give does not depend, in its last bits, on what was known of the layer, and a recipe gives
        the same bytes with a memory and without."""
        key, features = (True, self._source.caption), self._source.features
        if self._rows[key] is None or (self._injects and features.missing(self._i, _SELF)):
            self._rows[key] = self._source.D[self._i] = self._pass(
                [key], self._record if self._injects else None
            )[0]
            if self._injects:
                features.settle(self._i, _SELF)
        if missing := [key for key, known in self._rows.items() if known is None]:
            attend = self._inject if self._injects else None
            self._rows |= zip(missing, self._pass(missing, attend), strict=True)

    def _pass(self, keys: Sequence[tuple[bool, str]], attend: Attend | None) -> list[Tensor]:
        x = torch.cat([self.q if at_source else self.p for at_source, _ in keys])
        c = cat([self._model.encode_prompt(text).expand(len(self.q)) for _, text in keys])
        return list(denoise(self._model, x, self._sigma, c, attend).chunk(len(keys)))

    def _record(self, place: Place, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if place.kind == "self":
            self._branches[place.name] = Branch(q, k, None)
            self._source.features.record(self._i, place.name, self._branches[place.name])
        return F.scaled_dot_product_attention(q, k, v)

    def _inject(self, place: Place, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if place.kind == "self":
            known = self._branches or self._source.features.branches
            branch = known[place.name if self._branches else (self._i, place.name)]
            texts = len(q) // len(self.q)
            q, k = (x.repeat(texts, 1, 1, 1) for x in (branch.q, branch.k))
        return F.scaled_dot_product_attention(q, k, v)
