"""Runs that `velatura bench words` compares."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor

from velatura.attention.hold import held
from velatura.diffusion import noise, schedule
from velatura.diffusion.denoiser import denoise, guide
from velatura.inversion.ddim import direct
from velatura.inversion.trajectory import Trajectory, step
from velatura.models.model import Model
from velatura.words.control import Control, Words, steps_within
from velatura.words.edit import Conditions, edit
from velatura.words.features import Features
from velatura.words.local import LocalBlend

from . import shapes
from .explicit import Explicit, rows_of

GUIDANCE = 5.0
ROWS = 4
"""Of a pass: of two pictures, each with its guidance."""


@dataclass(frozen=True)
class Edits:
    """A model and an edit for it: a word swap that turns a word up, with local blend, and the windows that
    ship. Conditions are random: what is told takes no time."""

    model: Model
    latents: Tensor  # [1, C, h, w], of variance 1
    conditions: Conditions
    control: Control
    local: LocalBlend
    sigmas: list[float]

    @staticmethod
    def make(shape: str, device: str, steps: int, dtype: torch.dtype | None = None, side: int = 0) -> Edits:
        """side: of the latents; 0: of those that the network was trained on."""
        model = shapes.model(shape, device, dtype)
        config, length = model.unet.config, shapes.tokens(shape, model)
        drawn = noise.standard_normal([1, 2, 3], (length, config.cross_attention_dim)).to(device)
        side = side or config.sample_size
        sigmas = schedule.sigmas(model.training_sigmas, steps)
        n = len(sigmas) - 1
        weights, groups = torch.ones(length), torch.zeros(length, 2)
        weights[3], groups[3, 0] = 2.0, 1.0
        control = Control(
            A=torch.eye(length),
            alpha=(torch.arange(n) < steps_within(0.4, n)).float().unsqueeze(-1).repeat(1, length),
            weights=weights,
            self_steps=steps_within(0.4, n),
        )
        return Edits(
            model,
            noise.standard_normal([4], (config.in_channels, side, side)).to(device),
            Conditions(*drawn.unsqueeze(1)),
            control,
            LocalBlend(Words(groups, groups), 0.3, steps_within(0.2, n)),
            sigmas,
        )

    def plain(self) -> None:
        """Two pictures with guidance: as many rows as an edit of a new picture."""
        x = (self.latents * self.sigmas[0]).expand(2, -1, -1, -1)
        c = torch.cat([c.expand(2, -1, -1) for c in (self.conditions.negative, self.conditions.target)])
        for sigma, sigma_next in pairwise(self.sigmas):
            D_u, D_c = denoise(self.model, torch.cat([x, x]), sigma, c).chunk(2)
            x = step(x, guide(self.model, x, sigma, D_c, D_u, GUIDANCE), sigma, sigma_next)
        _wait_for(x)

    def edit(self) -> None:
        """A picture and its edit, both from noise."""
        x = self.latents * self.sigmas[0]
        self.along(Trajectory(list(self.sigmas), [x, *[None] * (len(self.sigmas) - 1)]), None)

    def explicit(self) -> None:
        """The same with maps that are built, without local blend."""
        x_s = x_t = self.latents * self.sigmas[0]
        told, latent = self.conditions, tuple(self.latents.shape[-2:])
        maps = Explicit(self.control, 1, latent, self.latents.to(self.model.dtype))
        with held(self.model.unet):
            for i, (sigma, sigma_next) in enumerate(pairwise(self.sigmas)):
                x, c = rows_of(x_s, x_t, told.source, told.target, told.negative)
                D_s, D_su, D_tu, D_t = denoise(self.model, x, sigma, c, maps.step(i)).chunk(4)
                x_s = step(x_s, D_su + GUIDANCE * (D_s - D_su), sigma, sigma_next)
                x_t = step(x_t, D_tu + GUIDANCE * (D_t - D_tu), sigma, sigma_next)
        _wait_for(x_t)

    def first(self) -> tuple[Trajectory, Features]:
        """A layer's first edit: inverted, then edited."""
        trajectory = direct(self.model, self.latents, self.conditions.source, list(self.sigmas))
        features = Features(1 << 40)
        self.along(trajectory, features)
        return trajectory, features

    def along(self, trajectory: Trajectory, features: Features | None) -> None:
        """An edit along a trajectory, with what was recorded of it."""
        x = edit(
            self.model,
            trajectory,
            self.conditions,
            self.control,
            guidance=GUIDANCE,
            after_step=lambda _: None,
            local=self.local,
            features=features,
        )
        _wait_for(x)


def _wait_for(x: Tensor) -> None:
    """Until the device has made x."""
    float(x.sum())
