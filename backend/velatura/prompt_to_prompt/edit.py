"""The loop of Prompt-to-Prompt: a source's trajectory and a target's, one batched pass a step.

Hertz et al. 2022, algorithm 1, on a trajectory that is known (an inverted layer; Ju et al. 2024, "direct
inversion") or becomes known on the way (a picture made from a seed). Rows of a pass, B variations each:

    [source, conditional] [source, unconditional] [terms] [target, unconditional] [target, conditional]

Attention is edited in the last rows only. The rows of terms are predictions of the target for its further
guidance (`velatura.guidance.term`). The source's unconditional rows run while its trajectory is not known;
its conditional rows run where it is not known, or where a step needs features that are not recorded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from velatura.diffusion.blending import blend
from velatura.diffusion.condition import Condition, cat
from velatura.diffusion.denoiser import StepIndex, denoise, guide
from velatura.diffusion.network import LatentDiffusion
from velatura.diffusion.samplers import Step
from velatura.guidance.term import Look, Term
from velatura.inversion.trajectory import Trajectory, step

from .attending import Attending
from .control import Control
from .features import Features
from .local import LocalBlend

AfterStep = Callable[[Step], None]
Terms = Callable[[int], Sequence[Term]]
"""The terms of step i, none of which takes a gradient through the network."""
Reach = Callable[[], Tensor]
"""Where the terms of the last step act, bool [B, 1, h, w]."""
NO_MEMORY = 0


def no_terms(_: int) -> Sequence[Term]:
    """No further guidance."""
    return ()


@dataclass(frozen=True)
class Conditions:
    """The conditions of the branches, each of one row: two prompts, and the one that guidance leads away
    from."""

    source: Condition
    target: Condition
    negative: Condition


def edit(
    model: LatentDiffusion,
    trajectory: Trajectory,
    conditions: Conditions,
    control: Control,
    *,
    guidance: float,
    after_step: AfterStep,
    local: LocalBlend | None = None,
    m_latent: Tensor | None = None,
    features: Features | None = None,
    terms: Terms = no_terms,
    reach: Reach | None = None,
) -> Tensor:
    """The target's clean latents [B, C, h, w].

    With the source's own prompt, weights 1 and full windows, the result is exactly x[N] of a trajectory that
    is sampled here, since both branches are then the same. For a known trajectory it may differ. Direct
    inversion (Ju et al. 2024, algorithm 1) puts only the source's branch back onto the inverted latents; the
    target's is stepped freely from the noise, so the error of the inversion, which guidance enlarges, stays
    in it. Edit-friendly inversion has the noise maps of its own guidance.

    Args:
        model: denoises.
        trajectory: the source's. The run appends its missing levels.
        conditions: of the branches.
        control: the changes to attention.
        guidance: the scale of classifier-free guidance, also of the source while its trajectory is not known.
        after_step: called after each step; may raise to stop the run.
        local: local blend; None: no local blend.
        m_latent: [1, 1, h, w] in [0, 1]; outside it the source stays, at every step. None: everywhere.
        features: the source's recorded features, which the run uses and adds to.
        terms: further guidance of the target.
        reach: where the terms' changes stay. Elsewhere the source stays, unless the place is one of local
            blend's. None: everywhere, but for local blend.
    """
    features = Features(NO_MEMORY) if features is None else features
    conditions = Conditions(*cat([conditions.source, conditions.target, conditions.negative]).split(1))
    n, x = len(trajectory.sigmas) - 1, trajectory.x[0]
    latent = x.shape[-2], x.shape[-1]
    attending = Attending(model, control, local, features, len(x), latent)
    run = _Run(model, trajectory, conditions, guidance, attending, terms)
    for i, (sigma, sigma_next) in enumerate(pairwise(trajectory.sigmas)):
        D = run.denoised(i, x)
        x = step(x, D, sigma, sigma_next, trajectory.eta)
        if trajectory.residuals is not None:
            x = x + trajectory.residuals[i]
        source = trajectory.x[i + 1]
        if local is None and reach is not None:
            x = torch.where(reach(), x, source)
        elif local is not None and i >= local.start:
            places = local.mask(attending.sums.maps(), latent)
            x = torch.where(places if reach is None else places | reach(), x, source)
        if m_latent is not None:
            x = blend(x, source, m_latent)
        after_step(Step(i, n, sigma, sigma_next, D))
    return x


class _Run:
    """The passes of one edit through the network, a step at a time."""

    def __init__(
        self,
        model: LatentDiffusion,
        trajectory: Trajectory,
        conditions: Conditions,
        guidance: float,
        attending: Attending,
        terms: Terms,
    ) -> None:
        self.model, self.trajectory, self.conditions = model, trajectory, conditions
        self.terms = terms
        self.guidance, self.attending = guidance, attending
        self.B, self.n = len(trajectory.x[0]), len(trajectory.sigmas) - 1

    def denoised(self, i: int, x: Tensor) -> Tensor:
        """D(x; sigma_i) of the target, guided. Appends x[i + 1] to the trajectory if it was not known."""
        trajectory, features = self.trajectory, self.attending.features
        known = len(trajectory.x) > i + 1
        need = self.attending.need(i)
        guided, terms = self.guidance != 1.0, self.terms(i)
        compared = guided or any(term.needs_unconditional for term in terms)
        runs_source = not known or features.missing(i, need)
        source, negative = trajectory.x[i], self._negative(i)
        rows = [(source, self.conditions.source)] if runs_source else []
        rows += [(source, negative)] if guided and not known else []
        rows += [(x, condition) for term in terms for condition in term.conditions]
        rows += [(x, negative)] if compared else []
        rows += [(x, self.conditions.target)]
        latents = torch.cat([latent for latent, _ in rows])
        c = cat([condition.expand(self.B) for _, condition in rows])
        sigma, sigma_next = trajectory.sigmas[i : i + 2]
        attend = self.attending.step(i, runs_source)
        D = list(denoise(self.model, latents, sigma, c, attend).split(self.B))
        if runs_source:
            features.finish(i, need)
        D_c, D_u = D.pop(), D.pop() if compared else None
        target = self._guide(x, sigma, D_c, D_u if guided else None)
        if not known:
            D_s = self._guide(source, sigma, D[0], D[1] if guided else None)
            trajectory.x.append(step(source, D_s, sigma, sigma_next, trajectory.eta))
        change = torch.zeros_like(target)
        for term in reversed(terms):
            of_term = [D.pop() for _ in term.conditions][::-1]
            change = change + term(Look(x, sigma, StepIndex(i, self.n), target, D_u, of_term))
        return target + change if terms else target

    def _negative(self, i: int) -> Condition:
        uncond = self.trajectory.uncond
        return self.conditions.negative if uncond is None else uncond[i]

    def _guide(self, x: Tensor, sigma: float, D_c: Tensor, D_u: Tensor | None) -> Tensor:
        return D_c if D_u is None else guide(self.model, x, sigma, D_c, D_u, self.guidance)
