"""The source of an edit by concepts: a layer's latents, or those of a picture that a seed makes.

The predictions at the source's own latents do not depend on the sliders. They are computed once, in passes
whose rows are the same whether some of them are kept or not, so the cache changes no byte of a result.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from torch import Tensor

from velatura.cache.cache import Cache
from velatura.cache.keys import key, key_of
from velatura.diffusion import noise
from velatura.diffusion.condition import Condition, cat
from velatura.diffusion.denoiser import denoise, guide
from velatura.diffusion.network import LatentDiffusion, Network
from velatura.inversion.edit_friendly import edit_friendly as invert
from velatura.inversion.trajectory import AfterStep, Trajectory, step


class Prompts(NamedTuple):
    """The source's prompt, the prompt that guidance leads away from, and guidance's scale."""

    prompt: str
    negative: str
    guidance: float


@dataclass
class Plain:
    """The predictions at the source's latents, by step, each [B, C, h, w].

    Args:
        x: the latents of a picture made from seeds, at the first levels; empty for a layer.
        D: with classifier-free guidance.
        D_u: the unconditional ones.
    """

    x: list[Tensor] = field(default_factory=list[Tensor])
    D: dict[int, Tensor] = field(default_factory=dict[int, Tensor])
    D_u: dict[int, Tensor] = field(default_factory=dict[int, Tensor])


Rows = dict[int, list[Tensor]]
"""The predictions for the conditions of concepts at the source's latents, by step."""


class Source:
    """A source with what is known of it. A run adds what it needs."""

    def __init__(
        self,
        model: Network,
        trajectory: Trajectory,
        prompts: Prompts,
        plain: Plain | None = None,
        rows: Rows | None = None,
    ) -> None:
        """See `kept`."""
        self.model, self.prompts = model, prompts
        self.sigmas, self.eta = trajectory.sigmas, trajectory.eta
        self._residuals = trajectory.residuals
        self.is_layer = trajectory.is_known
        self._plain = Plain() if plain is None else plain
        self._rows: Rows = {} if rows is None else rows
        if not self.is_layer and not self._plain.x:
            self._plain.x.append(trajectory.x[0])
        self._x = trajectory.x if self.is_layer else self._plain.x
        self.cond = model.encode_prompt(prompts.prompt)
        self.uncond = model.encode_prompt(prompts.negative)

    @property
    def n(self) -> int:
        """The steps of a run."""
        return len(self.sigmas) - 1

    def x(self, i: int) -> Tensor:
        """x at the level i, [B, C, h, w]. A picture made from seeds is sampled as far as that."""
        while len(self._x) <= i:
            at = len(self._x) - 1
            self._x.append(self._step(at))
        return self._x[i]

    def D(self, i: int) -> Tensor:
        """D(x[i]) with guidance, for the source's prompt."""
        if i not in self._plain.D:
            x, scale = self.x(i), self.prompts.guidance
            if scale == 1.0:
                self._plain.D[i] = self._pass(i, [self.cond])[0]
            else:
                D_c, D_u = self._pass(i, [self.cond, self.uncond])
                self._plain.D_u[i] = D_u
                self._plain.D[i] = guide(self.model, x, self.sigmas[i], D_c, D_u, scale)
        return self._plain.D[i]

    def D_u(self, i: int) -> Tensor:
        """D(x[i]) for the prompt that guidance leads away from."""
        if self.prompts.guidance != 1.0:
            self.D(i)
        if i not in self._plain.D_u:
            self._plain.D_u[i] = self._pass(i, [self.uncond])[0]
        return self._plain.D_u[i]

    def rows(self, i: int, conditions: Sequence[Condition]) -> list[Tensor]:
        """D(x[i]) for the conditions of the concepts, which are the same in every call, in one pass."""
        if i not in self._rows:
            self._rows[i] = self._pass(i, conditions)
        return self._rows[i]

    def residual(self, i: int) -> Tensor | None:
        """The residual that leads the step from x[i] onto x[i + 1]; None for a picture made from seeds, whose
        steps lead there by themselves.

        Edit-friendly inversion gives it. For direct inversion it is the difference of Ju et al. 2024
        (algorithm 1), which is added to the edit's branch too, so that an edit that changes nothing gives the
        layer itself.
        """
        if not self.is_layer:
            return None
        if self._residuals is not None:
            return self._residuals[i]
        return self.x(i + 1) - self._step(i)

    def _step(self, i: int) -> Tensor:
        """The sampler's step from x[i]."""
        return step(self.x(i), self.D(i), self.sigmas[i], self.sigmas[i + 1], self.eta)

    def _pass(self, i: int, conditions: Sequence[Condition]) -> list[Tensor]:
        x = self.x(i)
        c = cat([condition.expand(len(x)) for condition in conditions])
        D = denoise(self.model, x.repeat(len(conditions), 1, 1, 1), self.sigmas[i], c)
        return [part.clone() for part in D.chunk(len(conditions))]  # not views: each is kept by itself


def imagined(
    model: LatentDiffusion, shape: Sequence[int], sigmas: Sequence[float], seeds: Sequence[int]
) -> Trajectory:
    """The start of pictures made from seeds. shape: [C, h, w] of a latent."""
    n = noise.standard_normal(seeds, shape).to(model.device)
    return Trajectory(list(sigmas), [n * sigmas[0]])


def edit_friendly(
    cache: Cache,
    model: LatentDiffusion,
    image: Tensor,
    prompts: Prompts,
    sigmas: Sequence[float],
    seeds: Sequence[int],
    after_step: AfterStep,
) -> Trajectory:
    """A layer's trajectory by edit-friendly inversion, whose guidance is that of the edit: only then does an
    edit that changes nothing give the layer itself.

    Args:
        cache: keeps it, on disk too.
        model: inverts.
        image: [1, 3, h, w] in [-1, 1].
        prompts: of the layer.
        sigmas: the levels.
        seeds: one a variation.
        after_step: called after each computed step.
    """
    name = key_of(
        model,
        semantic="edit-friendly",
        image=image,
        prompts=list(prompts),
        rescale=model.guidance_rescale,
        sigmas=list(sigmas),
        seeds=list(seeds),
    )

    def make(_: list[Any]) -> Trajectory:
        c, uncond = model.encode_prompt(prompts.prompt), model.encode_prompt(prompts.negative)
        z0 = model.encode(image)
        return invert(model, z0, c, uncond, list(sigmas), seeds, prompts.guidance, after_step)

    return cache.kept(name, make, on_disk=True, device=model.device)


@contextmanager
def kept(
    cache: Cache,
    model: LatentDiffusion,
    trajectory: Trajectory,
    prompts: Prompts,
    conditions: Sequence[Condition],
) -> Generator[Source, None, None]:
    """A source with its cached parts. On exit, also after an error, the parts that a run has added are kept.

    Args:
        cache: keeps the predictions at the source's latents.
        model: predicts.
        trajectory: of a layer, or of `imagined`.
        prompts: of the source. For edit-friendly inversion the guidance must be that of the inversion.
        conditions: of the concepts, whose rows are kept too, as `Semantic.conditions` has them.
    """
    scale = prompts.guidance
    name = key_of(
        model,
        semantic="plain",
        x=trajectory.x[-1] if trajectory.is_known else trajectory.x[0],
        noise=trajectory.x[0],
        sigmas=trajectory.sigmas,
        eta=trajectory.eta,
        prompt=prompts.prompt,
        negative=prompts.negative,
        guidance=[scale] if scale == 1.0 else [scale, model.guidance_rescale],
    )
    along = key(semantic="concepts", of=name, conditions=[_parts(c) for c in conditions])
    plain, rows = cache.kept(name, lambda _: Plain()), cache.kept(along, lambda _: Rows())
    try:
        yield Source(model, trajectory, prompts, plain, rows)
    finally:
        cache.keep(name, plain)
        cache.keep(along, rows)


def _parts(condition: Condition) -> dict[str, Any]:
    """All that a prediction depends on, for a key."""
    return {"states": condition.states, "valid": condition.valid, "parts": dict(condition.parts)}
