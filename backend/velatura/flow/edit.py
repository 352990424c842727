"""The run of an edit by a flow: FlowAlign, FlowSlider and FlowEdit, which differ in their pull."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.attention import joint
from velatura.attention.places import Attend, Place
from velatura.diffusion.condition import cat
from velatura.diffusion.denoiser import denoise, guide
from velatura.diffusion.network import LatentDiffusion
from velatura.prompt_to_prompt.control import Branch, steps_within
from velatura.prompt_to_prompt.features import Need
from velatura.prompt_to_prompt.joint import source_branch

from . import pull
from .source import Source


class Dial(NamedTuple):
    """A direction between two texts, and how far to go along it: strength (D(p; toward) - D(p; away)).

    strength: w of FlowAlign, s of FlowSlider. A negative one leads the other way; 0 changes nothing.
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
    """The pulls of every step. `focused` and `self_until` are not part of the published updates.

    Args:
        dials: all computed in one batched pass.
        held_to: c_neg, the text that holds the picture; mostly the layer's caption.
        zeta: FlowAlign's pull of the predicted picture to the source, in [0, 1).
        focused: whether the edit stays where the dials pull (`pull.focus`).
        self_until: the share of the steps, from the first, in which self-attention has the source's queries
            and keys, as in Prompt-to-Prompt (Hertz et al. 2022, section 3.2); in joint attention those of the
            picture.
    """

    dials: Sequence[Dial]
    held_to: str
    zeta: float = 0.0
    focused: bool = False
    self_until: float = 0.0


def edit(
    model: LatentDiffusion, source: Source, pulls: Pulls, after_step: AfterStep, m: Tensor | None = None
) -> Tensor:
    """FlowAlign and FlowSlider, see `pull`. Returns the edited latents [N, C, h, w]; z0 if nothing pulls.

    A step costs a row for each text whose prediction is not known: c_neg and the two texts of each dial in
    one pass; c_src in another pass while D(q; c_src) is not known. In the first step p is q, so c_src is not
    computed twice.

    Args:
        model: denoises; with self_until its attention must be replaceable.
        source: the layer. The run fills in its missing D.
        pulls: the dials and settings.
        after_step: called after each step; may raise to stop the run.
        m: where the layer may change and how much, [1, 1, h, w] in [0, 1]; None: everywhere. Where it is 0
            the latents stay z0, bit for bit; values between weaken the dials.
    """
    dials = [dial for dial in pulls.dials if dial.strength and dial.away != dial.toward]
    if not dials and pulls.held_to == source.caption:
        return source.z0.expand(source.variations, -1, -1, -1).clone()
    injected = steps_within(pulls.self_until, len(source.sigmas) - 1)
    return _edit(model, source, pulls._replace(dials=dials), injected, after_step, m)


def _edit(
    model: LatentDiffusion,
    source: Source,
    pulls: Pulls,
    injected: int,
    after_step: AfterStep,
    m: Tensor | None,
) -> Tensor:
    dials = pulls.dials
    delta = torch.zeros_like(source.q(0)[:: source.noises])
    ratios = pull.ratios(source.sigmas)
    moved, pulled = False, torch.zeros_like(delta[:, :1])
    focuses = pulls.focused and bool(dials)
    for i, r in enumerate(ratios):
        at = _Asked(model, source, i, delta if moved else None, injects=i < injected)
        D_src, D_neg = at.source(), at.edit(pulls.held_to)
        steered = [(at.edit(dial.toward), at.edit(dial.away), dial.strength) for dial in dials]
        at.ask()
        steering = torch.zeros_like(D_src())
        for toward, away, strength in steered:
            steering = steering + strength * (toward() - away())
        if m is not None:
            steering = m * steering  # before the focus, so that a pull outside does not weaken those inside
        R_all = _averaged(D_neg() - D_src() + steering, source)
        if focuses:
            pulled = pulled + _averaged(steering, source).square().mean(1, keepdim=True).sqrt()
        R = pull.focus(pulled) * R_all if focuses else R_all
        delta = pull.step(delta, R, r, pulls.zeta)
        if m is not None:
            delta = torch.where(m > 0.0, delta, 0.0)
        moved = True
        after_step(Step(i, len(ratios), source.z0 + R))
    return source.z0 + delta


def plain(
    model: LatentDiffusion,
    source: Source,
    wanted: str,
    guidances: tuple[float, float],
    after_step: AfterStep,
    m: Tensor | None = None,
    share: float = 1.0,
) -> Tensor:
    """FlowEdit, see `pull`. Returns the edited latents [N, C, h, w]; z0 if both captions are equal or the
    share is 0.

    The cached part of the source is D(q; c_src) without guidance, as in `edit`.

    Args:
        model: denoises.
        source: as in `edit`.
        wanted: c_tar.
        guidances: the scales of classifier-free guidance of the source and of the edit, away from the empty
            text.
        after_step: as in `edit`.
        m: as in `edit`.
        share: the share of R that is applied, in [0, 1].
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
        R_tar = guide(model, at.p, sigma, D_tar(), away_tar(), scale_tar) if scale_tar != 1.0 else D_tar()
        R_src = guide(model, at.q, sigma, D_src(), away_src(), scale_src) if scale_src != 1.0 else D_src()
        R = share * _averaged(R_tar - R_src, source)
        delta = pull.step(delta, R, r)
        if m is not None:
            delta = torch.where(m > 0.0, delta, 0.0)
        after_step(Step(i, len(ratios), source.z0 + R))
    return source.z0 + delta


def _averaged(R: Tensor, source: Source) -> Tensor:
    """The mean over each variation's noises: [N * noises, C, h, w] to [N, C, h, w]."""
    return R.unflatten(0, (-1, source.noises)).mean(1)


class _Asked:
    """The predictions that one step needs, each computed once."""

    def __init__(
        self, model: LatentDiffusion, source: Source, i: int, delta: Tensor | None, *, injects: bool = False
    ) -> None:
        """delta: [N, C, h, w]; None in the first step, where p is q. injects: whether self-attention at p has
        the queries and keys of q."""
        self._model, self._source, self._i = model, source, i
        self._sigma = source.sigmas[i]
        self.q = source.q(i)
        self._is_source = delta is None
        self._injects = injects
        if delta is None:
            self.p = self.q
        else:
            self.p = pull.displaced(self.q, delta.repeat_interleave(source.noises, 0), self._sigma)
        self._keys: dict[tuple[bool, str], None] = {}  # (whether at q, text), in the order of the rows
        self._predictions: dict[tuple[bool, str], Tensor] = {}
        self._branches: dict[str, Branch] = {}  # of this step, also if they are not kept

    def source(self) -> Callable[[], Tensor]:
        """D(q; c_src), which may be known already."""
        key = (True, self._source.caption)
        if (known := self._source.D[self._i]) is not None:
            self._predictions[key] = known
        return self._row(key)

    def at_source(self, text: str) -> Callable[[], Tensor]:
        """D(q; text)."""
        return self._row((True, text))

    def edit(self, text: str) -> Callable[[], Tensor]:
        """D(p; text)."""
        return self._row((self._is_source, text))

    def _row(self, key: tuple[bool, str]) -> Callable[[], Tensor]:
        self._keys[key] = None
        return lambda: self._predictions[key]

    def ask(self) -> None:
        """Computes the missing predictions: D(q; c_src) in one pass, all others in another. So the last bits
        of the others do not depend on the cached part of the layer, and a recipe gives the same bytes with a
        cache and without."""
        key, features = (True, self._source.caption), self._source.features
        if key not in self._predictions or (self._injects and features.missing(self._i, _SELF)):
            attend = self._record if self._injects else None
            self._predictions[key] = self._source.D[self._i] = self._pass([key], attend)[0]
            if self._injects:
                features.finish(self._i, _SELF)
        if missing := [key for key in self._keys if key not in self._predictions]:
            attend = self._inject if self._injects else None
            self._predictions |= zip(missing, self._pass(missing, attend), strict=True)

    def _pass(self, keys: Sequence[tuple[bool, str]], attend: Attend | None) -> list[Tensor]:
        x = torch.cat([self.q if at_source else self.p for at_source, _ in keys])
        c = cat([self._model.encode_prompt(text).expand(len(self.q)) for _, text in keys])
        return list(denoise(self._model, x, self._sigma, c, attend).chunk(len(keys)))

    def _record(self, place: Place, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if place.kind == "self" or self._is_joint(place):
            branch = source_branch(place, q, k, None) if place.kind == "joint" else Branch(q, k, None)
            self._branches[place.name] = branch
            self._source.features.record(self._i, place.name, branch)
        return F.scaled_dot_product_attention(q, k, v)

    def _inject(self, place: Place, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        if place.kind != "self" and not self._is_joint(place):
            return F.scaled_dot_product_attention(q, k, v)
        branch = self._branches.get(place.name) or self._source.features.branches[self._i, place.name]
        texts = len(q) // len(self.q)
        q_s, k_s = (x.repeat(texts, 1, 1, 1) for x in (branch.q, branch.k))
        if place.kind == "self":
            return F.scaled_dot_product_attention(q_s, k_s, v)
        return injected(place, q, k, v, (q_s, joint.picture(place, k_s)))

    def _is_joint(self, place: Place) -> bool:
        """Whether it is a joint attention that is injected."""
        blocks = self._model.joint_blocks
        return place.kind == "joint" and blocks is not None and blocks.injects(place.name)


def injected(place: Place, q: Tensor, k: Tensor, v: Tensor, source: tuple[Tensor, Tensor]) -> Tensor:
    """Joint attention with the source's queries and keys of the picture; see `attention.joint.injected`."""
    q_image, k = joint.injected(place, q, k, source, v.shape[-1])
    return F.scaled_dot_product_attention(joint.with_picture(place, q, q_image), k, v)
