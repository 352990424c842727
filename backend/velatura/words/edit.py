"""The loop of Prompt-to-Prompt: a source's trajectory and a target's, one batched pass a step.

Hertz et al. 2022, algorithm 1, on a trajectory that is known (an inverted layer; Ju et al. 2024, "direct
inversion") or becomes known on the way (a picture made from a seed). Rows of a pass, B variations each:

    [source, conditional] [source, unconditional] [target, unconditional] [target, conditional]

Only the last are edited. The source's unconditional rows run where its trajectory is not known yet, its
conditional ones where a step needs features of it that are not recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from velatura.attention.hold import held
from velatura.attention.places import Place, halved, level, levels
from velatura.diffusion.blending import blend
from velatura.diffusion.denoiser import denoise
from velatura.diffusion.samplers import Step
from velatura.inversion.trajectory import Trajectory, step
from velatura.models.model import Model

from . import control as attention
from .control import Branch, Control
from .features import Features, Need
from .local import LocalBlend, MapSums, map_level

AfterStep = Callable[[Step], None]
NO_MEMORY = 0


@dataclass(frozen=True)
class Conditions:
    """What the branches are told, each [1, L, d]: the two prompts, and what guidance leads away from."""

    source: Tensor
    target: Tensor
    negative: Tensor


def edit(
    model: Model,
    trajectory: Trajectory,
    conditions: Conditions,
    control: Control,
    *,
    guidance: float,
    after_step: AfterStep,
    local: LocalBlend | None = None,
    m_latent: Tensor | None = None,
    features: Features | None = None,
) -> Tensor:
    """The target's clean latents [B, C, h, w].

    trajectory: the source's; what is not known of it is written into it. guidance: scale of classifier-free
    guidance, the source's too where its trajectory is not known. m_latent: [1, 1, h, w] in [0, 1], outside
    which the source stays, at every step. features: taken from and recorded into.

    With the source's own prompt, weights 1 and every window whole, the result is x[N] of the trajectory
    exactly."""
    features = Features(NO_MEMORY) if features is None else features
    run = _Run(model, trajectory, conditions, control.to(model.device), guidance, local, features)
    n = len(trajectory.sigmas) - 1
    x = trajectory.x[0]
    with held(model.unet):
        for i, (sigma, sigma_next) in enumerate(pairwise(trajectory.sigmas)):
            D = run.denoised(i, x)
            x = step(x, D, sigma, sigma_next, trajectory.eta)
            if trajectory.residuals is not None:
                x = x + trajectory.residuals[i]
            source = trajectory.x[i + 1]
            if local is not None and i >= local.start:
                x = torch.where(run.changes(tuple(x.shape[-2:])), x, source)
            if m_latent is not None:
                x = blend(x, source, m_latent)
            after_step(Step(i, n, sigma, sigma_next, D))
    return x


class _Run:
    """One edit's way through the network, a step at a time."""

    def __init__(
        self,
        model: Model,
        trajectory: Trajectory,
        conditions: Conditions,
        control: Control,
        guidance: float,
        local: LocalBlend | None,
        features: Features,
    ) -> None:
        self.model, self.trajectory, self.conditions = model, trajectory, conditions
        self.control, self.guidance, self.features = control, guidance, features
        self.B = len(trajectory.x[0])
        self.latent: tuple[int, int] = tuple(trajectory.x[0].shape[-2:])
        self.local = None if local is None else local.to(model.device)
        if local is not None:
            trained = model.size // model.factor
            self.map_level = map_level(trained, levels(model.unet))
            self.sums = MapSums(*(halved(side, self.map_level) for side in self.latent))

    def denoised(self, i: int, x: Tensor) -> Tensor:
        """D(x; sigma_i) of the target, guided; and x[i + 1] of the trajectory, if it was not known."""
        known = self.trajectory.x[i + 1] is not None
        need = self._need(i)
        guided = self.guidance != 1.0
        runs_source = not known or self.features.missing(i, need)
        source, negative = self.trajectory.x[i], self._negative(i)
        rows = [(source, self.conditions.source)] if runs_source else []
        rows += [(source, negative)] if guided and not known else []
        rows += [(x, negative)] if guided else []
        rows += [(x, self.conditions.target)]

        def attend(place: Place, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
            return self._attend(i, need, runs_source, place, q, k, v)

        sigma, sigma_next = self.trajectory.sigmas[i : i + 2]
        latents = torch.cat([latent for latent, _ in rows])
        c = torch.cat([condition.expand(self.B, -1, -1) for _, condition in rows])
        D = list(denoise(self.model, latents, sigma, c, attend).split(self.B))
        if runs_source:
            self.features.settle(i, need)
        target = self._guide(D.pop(), D.pop() if guided else None)
        if not known:
            D_s = self._guide(D[0], D[1] if guided else None)
            self.trajectory.x[i + 1] = step(source, D_s, sigma, sigma_next, self.trajectory.eta)
        return target

    def changes(self, size: tuple[int, int]) -> Tensor:
        """Local blend's mask after this step, bool [B, 1, h, w]."""
        return self.local.mask(self.sums.source, self.sums.target, size)

    def _need(self, i: int) -> Need:
        control = self.control
        return Need(
            cross=control.takes_cross[i],
            maps=self.local is not None,
            self_=control.self_share if control.takes_self(i) else 0.0,
            values=control.self_share if control.takes_values(i) else 0.0,
        )

    def _negative(self, i: int) -> Tensor:
        uncond = self.trajectory.uncond
        return self.conditions.negative if uncond is None else uncond[i]

    def _guide(self, D_c: Tensor, D_u: Tensor | None) -> Tensor:
        return D_c if D_u is None else D_u + self.guidance * (D_c - D_u)

    def _attend(
        self, i: int, need: Need, runs_source: bool, place: Place, q: Tensor, k: Tensor, v: Tensor
    ) -> Tensor:
        """Attention of all rows at one place: the last B edited, the others as they are."""
        at = level(self.latent, q.shape[-2])
        gathers = need.maps and place.kind == "cross" and at == self.map_level
        if place.kind == "cross":
            takes, values = need.cross or gathers, False
            edits = takes or self.control.weighs
        else:
            share = 0.25**at
            values = share <= need.values
            takes = edits = values or share <= need.self_
        if not edits:
            return F.scaled_dot_product_attention(q, k, v)
        source = None
        if takes and runs_source:
            source = Branch(q[: self.B], k[: self.B], v[: self.B] if values else None)
            self.features.record(i, place.name, source)
        elif takes:
            source = self.features.branches[i, place.name]
        others = len(q) - self.B
        target = Branch(q[others:], k[others:], v[others:])
        if place.kind == "self":
            out = attention.self_(self.control, i, source, target)
        else:
            out, of_source, of_target = attention.cross(
                self.control, i, source, target, self.local.words if gathers else None
            )
            if gathers:
                self.sums.add(of_source, of_target)
        if not others:
            return out
        return torch.cat([F.scaled_dot_product_attention(q[:others], k[:others], v[:others]), out])
