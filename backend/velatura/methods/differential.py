"""Differential diffusion: a soft map says where the layer changes and how much.

Levin & Fried 2025, Differential Diffusion: Giving Each Pixel Its Strength, arXiv:2306.00950, algorithm 1.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

from velatura_protocol.errors import VelaturaError
from velatura_protocol.inputs import RasterInput

from . import fields
from .base import Context, Inputs, Method, MethodInputs, Parameters

if TYPE_CHECKING:
    from torch import Tensor

AMOUNT = "amount"
"""The name of the painted map."""


class DifferentialParameters(Parameters):
    strength: float = fields.strength(
        0.7, "How far a wholly selected place may move from its own colours and shapes."
    )
    guidance: float = fields.guidance(3.0)
    context: float = fields.context(1.0)
    detail: fields.Detail = fields.detail()
    steps: int = fields.steps(20)
    negative_prompt: str = fields.negative_prompt()


class Differential(Method):
    id = "differential"
    version = 1
    title = "More here, less there"
    section = "selection"
    summary = "Repaints each place as much as it is selected: a little where the selection is faint."
    source = "Levin & Fried 2025, Differential Diffusion, arXiv:2306.00950, algorithm 1"
    inputs = Inputs(
        source="required",
        mask="optional",
        prompt="required",
        rasters=(
            RasterInput(
                AMOUNT,
                "Amount of change",
                "A layer: what is painted there changes, a little where the paint is faint. "
                "Without one, the selection's own softness counts.",
                "mask",
                "optional",
            ),
        ),
    )
    Parameters = DifferentialParameters

    def selection_is_amount(self, rasters: Collection[str]) -> bool:
        """A soft selection is the map, unless one is painted."""
        return AMOUNT not in rasters

    def run(self, inputs: MethodInputs, params: DifferentialParameters, context: Context) -> Tensor:
        """See `Method`. Raises `empty-mask` where no part of the painted map is selected."""
        from velatura.diffusion import denoiser, differential, noise, samplers, schedule

        amount = inputs.mask
        if AMOUNT in inputs.rasters:
            amount = inputs.rasters[AMOUNT] * (inputs.mask > 0.0)
            if not amount.any():
                raise VelaturaError(
                    "empty-mask",
                    "The amount of change lies outside the selection; paint it inside, or select its place.",
                )
        model = context.model
        D = denoiser.guided(model, inputs.prompt, params.negative_prompt, params.guidance)
        sigmas = schedule.sigmas(model.training_sigmas, params.steps, params.strength)
        z0 = model.encode(inputs.image)
        n = noise.standard_normal(inputs.seeds, z0.shape[1:]).to(z0)
        mu = differential.change_map(amount, (z0.shape[-2], z0.shape[-1]))

        def after_step(x: Tensor, step: samplers.Step) -> Tensor:
            x = differential.hold(x, z0 + step.sigma_next * n, mu, step.i + 1, step.n)
            expected = z0.where(differential.kept(mu, step.i, step.n), step.denoised[:1])
            context.step(step.i + 1, step.n, lambda: model.decode(expected))
            return x

        pictures = context.decode(samplers.dpmpp_2m(D, z0 + sigmas[0] * n, sigmas, after_step))
        # a cell of the latents also covers pixels that stay; a pixel of the reconstruction keeps its bytes
        return context.reconstruction.where(amount == 0.0, pictures) if (amount == 0.0).any() else pictures
