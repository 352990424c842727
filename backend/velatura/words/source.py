"""Where an edit's source comes from: a layer that is inverted, or a seed; each once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

from velatura.diffusion import noise
from velatura.inversion import ddim, edit_friendly, null_text
from velatura.inversion.cache import Memory, key
from velatura.inversion.trajectory import AfterStep, Trajectory
from velatura.models.model import Model

from .features import Features

Inversion = Literal["direct", "ddim", "negative-prompt", "null-text", "edit-friendly"]

SEEDED: frozenset[str] = frozenset({"edit-friendly"})
"""Inversions that draw noise, so that each seed leads to a picture of its own."""

SOURCE_GUIDANCE = 3.5
"""Of edit-friendly inversion, as published."""


@dataclass(frozen=True)
class Source:
    """A source's trajectory and what is remembered of it, under a name."""

    name: str
    trajectory: Trajectory
    features: Features


@dataclass(frozen=True)
class Wanted:
    """What the source is of: a prompt and what guidance leads away from, along these levels, with this
    scale."""

    prompt: str
    negative: str
    sigmas: Sequence[float]
    guidance: float


def inverted(
    model: Model,
    memory: Memory,
    image: Tensor,
    wanted: Wanted,
    kind: Inversion,
    seeds: Sequence[int],
    after_step: AfterStep,
) -> Source:
    """A layer's trajectory. image: [1, 3, h, w] in [-1, 1]. seeds: only of `SEEDED` kinds.

    after_step is not called where the trajectory is known already.
    """
    content = {
        "of": image,
        "inversion": kind,
        "seeds": list(seeds) if kind in SEEDED else [],
        "guidance": None if kind == "direct" else wanted.guidance,
        "negative": None if kind == "direct" else wanted.negative,
    }

    def make() -> Trajectory:
        z0, sigmas = model.encode(image), list(wanted.sigmas)
        c, uncond = model.encode_prompt(wanted.prompt), model.encode_prompt(wanted.negative)
        if kind == "edit-friendly":
            return edit_friendly.edit_friendly(
                model, z0, c, uncond, sigmas, seeds, SOURCE_GUIDANCE, after_step
            )
        if kind == "null-text":
            return null_text.null_text(model, z0, c, uncond, sigmas, wanted.guidance, after_step)
        invert = {"direct": ddim.direct, "ddim": ddim.ddim, "negative-prompt": ddim.negative_prompt}[kind]
        return invert(model, z0, c, sigmas, after_step)

    return _remembered(model, memory, wanted, content, make)


def imagined(
    model: Model, memory: Memory, shape: Sequence[int], wanted: Wanted, seeds: Sequence[int]
) -> Source:
    """The trajectory of pictures made from seeds; known but for its first noise until an edit has run along
    it.

    shape: [C, h, w] of a latent.
    """
    content = {
        "of": list(shape),
        "seeds": list(seeds),
        "guidance": wanted.guidance,
        "negative": wanted.negative,
    }

    def make() -> Trajectory:
        n = noise.standard_normal(seeds, shape).to(model.device)
        return Trajectory(list(wanted.sigmas), [n * wanted.sigmas[0], *[None] * (len(wanted.sigmas) - 1)])

    return _remembered(model, memory, wanted, content, make)


def remember(memory: Memory, source: Source, *, was_known: bool) -> None:
    """A run along the source has ended, in whatever way: what it found out is kept."""
    if not was_known and is_known(source.trajectory):
        memory.keep_trajectory(source.name, source.trajectory)
    memory.settle(source.name)


def is_known(trajectory: Trajectory) -> bool:
    """Whether x is known at every level."""
    return all(x is not None for x in trajectory.x)


def _remembered(
    model: Model, memory: Memory, wanted: Wanted, content: dict, make: Callable[[], Trajectory]
) -> Source:
    name = key(
        model=model.digest,
        dtype=str(model.dtype),
        prompt=wanted.prompt,
        sigmas=list(wanted.sigmas),
        **content,
    )
    trajectory = memory.trajectory(name, model.device)
    if trajectory is None:
        trajectory = make()
        memory.keep_trajectory(name, trajectory)
    return Source(name, trajectory, memory.features(name, lambda: Features(memory.feature_budget)))
