"""The runs that `velatura bench words` compares."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import torch
from torch import Tensor

from velatura.cache.cache import Cache
from velatura.daemon.worker.runner import IN_MEMORY
from velatura.diffusion import noise, schedule
from velatura.diffusion.condition import Condition, cat
from velatura.diffusion.denoiser import denoise, guide
from velatura.inversion.ddim import direct
from velatura.inversion.trajectory import Trajectory, step
from velatura.methods.prompt_to_prompt import PromptToPromptParameters
from velatura.models.families.sd import StableDiffusion
from velatura.prompt_to_prompt.control import Branch, Control, Words, steps_within
from velatura.prompt_to_prompt.edit import Conditions, edit
from velatura.prompt_to_prompt.features import Features
from velatura.prompt_to_prompt.local import LocalBlend

from .explicit import Explicit, rows_of

SHIPPED = PromptToPromptParameters.model_validate({})
ROWS = 4
"""Rows of a pass: two pictures, each with its guidance."""
FIRST, SECOND = (1, 3), 2
"""Rows of the passes of a layer's first edit (one for its inversion; one for the source and two for the
target), and of its second edit if all features of the source are cached."""


@dataclass
class Counted(Features):
    """Features that also count the bytes of all features, cached or dropped."""

    asked: dict[tuple[int, str], int] = field(default_factory=dict)

    @property
    def needed(self) -> int:
        """Bytes of all features."""
        return sum(self.asked.values())

    def record(self, i: int, name: str, branch: Branch) -> None:
        """As `Features.record`."""
        self.asked[i, name] = sum(x.nbytes for x in branch if x is not None)
        super().record(i, name, branch)


def swap(tokens: int, n: int, settings: PromptToPromptParameters) -> tuple[Control, LocalBlend]:
    """A word swap that turns a word up, and its local blend.

    Args:
        tokens: number of tokens of a prompt.
        n: number of steps.
        settings: its windows and threshold.
    """
    weights, groups = torch.ones(tokens), torch.zeros(tokens, 2)
    weights[3], groups[3, 0] = 2.0, 1.0
    within = torch.arange(n) < steps_within(settings.cross_until, n)
    control = Control(
        A=torch.eye(tokens),
        alpha=within.float().unsqueeze(-1).repeat(1, tokens),
        weights=weights,
        renormalise=settings.renormalise,
        self_steps=steps_within(settings.self_until, n),
    )
    blended = steps_within(settings.blend_start, n)
    return control, LocalBlend(Words(groups, groups), settings.threshold, blended)


@dataclass(frozen=True)
class Edits:
    """A model and an edit for it: a word swap that turns a word up, with local blend, guidance and windows as
    they ship. Conditions are random, for their values do not change the time.

    Args:
        model: the model.
        latents: [1, C, h, w], of variance 1.
        conditions: of the prompts.
        control: of the attention.
        local: the local blend.
        sigmas: noise levels of the steps.
        limit: bytes of cached features, by default the daemon's limit.
    """

    model: StableDiffusion
    latents: Tensor
    conditions: Conditions
    control: Control
    local: LocalBlend
    sigmas: list[float]
    limit: int = Cache(memory=IN_MEMORY).largest

    @staticmethod
    def of(model: StableDiffusion, tokens: int, steps: int, side: int = 0, width: int = 0) -> Edits:
        """An edit of random latents.

        Args:
            model: the model.
            tokens: number of tokens of a prompt.
            steps: number of steps.
            side: of the latents; 0 for the side that the network was trained on.
            width: values of a token's hidden state; 0 for those of the model's text encoder.
        """
        width = width or model.encode_prompt("").states.shape[-1]
        drawn = noise.standard_normal([1, 2, 3], (tokens, width)).to(model.device)
        side = side or model.latent_size
        sigmas = schedule.sigmas(model.training_sigmas, steps)
        control, local = swap(tokens, len(sigmas) - 1, SHIPPED)
        return Edits(
            model,
            noise.standard_normal([4], (model.latent_channels, side, side)).to(model.device),
            Conditions(*map(Condition, drawn.unsqueeze(1))),
            control,
            local,
            sigmas,
        )

    def passes(self, rows: int) -> None:
        """The network alone on batches of so many rows, once for each step."""
        x, c = self.latents.repeat(rows, 1, 1, 1), self.conditions.target.expand(rows)
        denoised = x
        for _ in self.sigmas[1:]:
            denoised = denoise(self.model, x, self.sigmas[-2], c)
        _wait_for(denoised)

    def plain(self) -> None:
        """Two pictures with guidance, which have as many rows as an edit of a new picture."""
        x = (self.latents * self.sigmas[0]).expand(2, -1, -1, -1)
        c = cat([c.expand(2) for c in (self.conditions.negative, self.conditions.target)])
        for sigma, sigma_next in pairwise(self.sigmas):
            D_u, D_c = denoise(self.model, torch.cat([x, x]), sigma, c).chunk(2)
            x = step(x, guide(self.model, x, sigma, D_c, D_u, SHIPPED.guidance), sigma, sigma_next)
        _wait_for(x)

    def edit(self) -> Tensor:
        """A picture and its edit, both from noise. Gives the edit's clean latents [1, C, h, w]."""
        x = self.latents * self.sigmas[0]
        return self.along(Trajectory(list(self.sigmas), [x]), None)

    def explicit(self) -> Tensor:
        """The same edit with attention maps that are built."""
        x_s = x_t = self.latents * self.sigmas[0]
        c_all, latent = self.conditions, (self.latents.shape[-2], self.latents.shape[-1])
        maps = Explicit(self.model, self.control, self.local, 1, latent)
        for i, (sigma, sigma_next) in enumerate(pairwise(self.sigmas)):
            x, c = rows_of(x_s, x_t, c_all.source, c_all.target, c_all.negative)
            D_s, D_su, D_tu, D_t = denoise(self.model, x, sigma, c, maps.step(i)).chunk(4)
            D_s = guide(self.model, x_s, sigma, D_s, D_su, SHIPPED.guidance)
            D_t = guide(self.model, x_t, sigma, D_t, D_tu, SHIPPED.guidance)
            x_s, x_t = (step(x, D, sigma, sigma_next) for x, D in ((x_s, D_s), (x_t, D_t)))
            if i >= self.local.start:
                x_t = torch.where(self.local.mask(maps.sums.maps(), latent), x_t, x_s)
        _wait_for(x_t)
        return x_t

    def first(self) -> tuple[Trajectory, Counted]:
        """A layer's first edit: the layer is inverted, then edited."""
        trajectory = direct(self.model, self.latents, self.conditions.source, list(self.sigmas))
        features = Counted(self.limit)
        self.along(trajectory, features)
        return trajectory, features

    def along(self, trajectory: Trajectory, features: Features | None) -> Tensor:
        """An edit along a trajectory, with its recorded features. Gives the clean latents [1, C, h, w]."""
        x = edit(
            self.model,
            trajectory,
            self.conditions,
            self.control,
            guidance=SHIPPED.guidance,
            after_step=lambda _: None,
            local=self.local,
            features=features,
        )
        _wait_for(x)
        return x


def _wait_for(x: Tensor) -> None:
    """Waits until the device has computed x."""
    float(x.sum())
