"""The source of an edit: an inverted layer, or a picture made from a seed. Each is computed once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import Tensor

from velatura.cache.cache import Cache
from velatura.cache.keys import key, key_of
from velatura.diffusion import noise
from velatura.diffusion.condition import Condition
from velatura.diffusion.network import LatentDiffusion
from velatura.inversion import ddim, edit_friendly, null_text, rectified
from velatura.inversion.trajectory import AfterStep, Trajectory

from .features import Features

Inversion = Literal[
    "direct", "uni-inv", "fireflow", "dna", "ddim", "negative-prompt", "null-text", "edit-friendly"
]

DIRECT: dict[Inversion, Callable[..., list[Tensor]]] = {
    "direct": ddim.ddim_inversion,
    "uni-inv": rectified.uni_inv,
    "fireflow": rectified.fireflow,
    "dna": rectified.dna,
}
"""Inversions whose latents the source goes through themselves, as in direct inversion (`ddim.direct`)."""

SEEDED: frozenset[str] = frozenset({"dna", "edit-friendly"})
"""Inversions that draw noise, so that each seed gives another picture."""

SOURCE_GUIDANCE = 3.5
"""The source's guidance scale in edit-friendly inversion, as published."""


@dataclass(frozen=True)
class Source:
    """A source's trajectory and recorded features. name: the trajectory's key in the cache."""

    name: str
    trajectory: Trajectory
    features: Features


@dataclass(frozen=True)
class Wanted:
    """The prompt of a source, the prompt that guidance leads away from, the levels, and guidance's scale."""

    prompt: str
    negative: str
    sigmas: Sequence[float]
    guidance: float


def inverted(
    model: LatentDiffusion,
    cache: Cache,
    image: Tensor,
    wanted: Wanted,
    kind: Inversion,
    seeds: Sequence[int],
    after_step: AfterStep,
) -> Source:
    """A layer's trajectory.

    Args:
        model: inverts.
        cache: keeps trajectories and features.
        image: [1, 3, h, w] in [-1, 1].
        wanted: the prompts, levels and guidance.
        kind: the inversion.
        seeds: used by the `SEEDED` kinds only.
        after_step: called for computed parts only, not for those that are known from another edit or from one
            that after_step stopped halfway.
    """
    layer = _Layer(model, cache, image, wanted, after_step)
    if kind in DIRECT:
        return _source(cache, layer.name(kind, **layer.seeded(kind, seeds)), layer.direct(kind, seeds))
    if kind == "edit-friendly":  # whose source has a guidance of its own
        guided = _guided(model, wanted, SOURCE_GUIDANCE)
        name, make = layer.name(kind, seeds=list(seeds), guided=guided), lambda _: layer.edit_friendly(seeds)
    elif kind == "negative-prompt":  # whose source is the same at any guidance, since D_u = D_c
        name, make = layer.name(kind), lambda _: layer.negative_prompt()
    else:
        name = layer.name(kind, guided=_guided(model, wanted, wanted.guidance))
        make = layer.null_text if kind == "null-text" else lambda _: layer.ddim()
    return _source(cache, name, _known(model, cache, name, make))


def imagined(
    model: LatentDiffusion, cache: Cache, shape: Sequence[int], wanted: Wanted, seeds: Sequence[int]
) -> Source:
    """The trajectory of pictures made from seeds. Only its noise is known until an edit has run along it.

    shape: [C, h, w] of a latent.
    """
    guided = _guided(model, wanted, wanted.guidance)
    name = _name(model, wanted, of=list(shape), seeds=list(seeds), guided=guided)

    def make(_: list[Any]) -> Trajectory:
        n = noise.standard_normal(seeds, shape).to(model.device)
        return Trajectory(list(wanted.sigmas), [n * wanted.sigmas[0]])

    return _source(cache, name, _known(model, cache, name, make))


def remember(cache: Cache, source: Source, *, was_known: bool) -> None:
    """Keeps what a run has added to the source. Call it after every run, also after a failed one."""
    if not was_known:
        cache.keep(source.name, source.trajectory, on_disk=True)
    cache.keep(_along(source.name), source.features)


@dataclass(frozen=True)
class _Layer:
    """The inversions of a layer. Known parts are not computed again.

    All but edit-friendly begin with the same inverted latents, those of direct inversion. They depend neither
    on guidance nor on the prompt that it leads away from.
    """

    model: LatentDiffusion
    cache: Cache
    image: Tensor
    wanted: Wanted
    after_step: AfterStep

    def name(self, kind: Inversion, **more: Any) -> str:
        return _name(self.model, self.wanted, of=self.image, inversion=kind, **more)

    @property
    def sigmas(self) -> list[float]:
        return list(self.wanted.sigmas)

    @property
    def c(self) -> Condition:
        return self.model.encode_prompt(self.wanted.prompt)

    @property
    def uncond(self) -> Condition:
        return self.model.encode_prompt(self.wanted.negative)

    def seeded(self, kind: Inversion, seeds: Sequence[int]) -> dict[str, list[int]]:
        """The seeds, for kinds that draw noise."""
        return {"seeds": list(seeds)} if kind in SEEDED else {}

    def direct(
        self, kind: Inversion = "direct", seeds: Sequence[int] = (), parts: int | None = None
    ) -> Trajectory:
        """One of `DIRECT`. parts: the total that progress is reported of; the inversion's come first. None:
        only those."""
        more = self.seeded(kind, seeds)

        def make(known: list[Tensor]) -> Trajectory:
            z0 = known[0] if known else self.model.encode(self.image)
            made = DIRECT[kind](
                self.model,
                z0,
                self.c,
                self.sigmas,
                after_step=lambda i, n: self.after_step(i, parts or n),
                known=known,
                **more,
            )
            return Trajectory(self.sigmas, [x.expand_as(made[-1]) for x in reversed(made)])

        return _known(self.model, self.cache, self.name(kind, **more), make)

    def ddim(self) -> Trajectory:
        latents = self.direct().x[::-1]
        return ddim.ddim(self.model, latents[0], self.c, self.sigmas, known=latents)

    def negative_prompt(self) -> Trajectory:
        latents = self.direct().x[::-1]
        return ddim.negative_prompt(self.model, latents[0], self.c, self.sigmas, known=latents)

    def null_text(self, fitted: list[tuple[Condition, Tensor]]) -> Trajectory:
        latents = self.direct(parts=null_text.parts(len(self.sigmas) - 1)).x[::-1]
        return null_text.null_text(
            self.model,
            latents[0],
            self.c,
            self.uncond,
            self.sigmas,
            self.wanted.guidance,
            self.after_step,
            latents,
            fitted,
        )

    def edit_friendly(self, seeds: Sequence[int]) -> Trajectory:
        z0 = self.model.encode(self.image)
        return edit_friendly.edit_friendly(
            self.model, z0, self.c, self.uncond, self.sigmas, seeds, SOURCE_GUIDANCE, self.after_step
        )


def _name(model: LatentDiffusion, wanted: Wanted, **content: Any) -> str:
    return key_of(model, prompt=wanted.prompt, sigmas=list(wanted.sigmas), **content)


def _guided(model: LatentDiffusion, wanted: Wanted, scale: float) -> list[Any]:
    """The values that a guided trajectory depends on: none at scale 1."""
    return [] if scale == 1.0 else [scale, wanted.negative, model.guidance_rescale]


def _known(
    model: LatentDiffusion, cache: Cache, name: str, make: Callable[[list[Any]], Trajectory]
) -> Trajectory:
    """The trajectory of this name; on disk too, since reading it is faster than so many passes."""
    return cache.kept(name, make, on_disk=True, device=model.device)


def _source(cache: Cache, name: str, trajectory: Trajectory) -> Source:
    along = _along(name)
    room = partial(cache.make_room, along)
    features = cache.kept(along, lambda _: Features(cache.largest, room))
    return Source(name, trajectory, features)


def _along(name: str) -> str:
    """The name of the features along the trajectory of this name."""
    return key(features=name)
