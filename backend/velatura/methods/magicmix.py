"""MagicMix: the layout of the layer, the matter of the words.

Liew et al. 2022, MagicMix: Semantic Mixing with Diffusion Models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from velatura_protocol.errors import VelaturaError

from . import fields
from .base import Context, Inputs, Method, MethodInputs, Parameters

if TYPE_CHECKING:
    from torch import Tensor


class MagicMixParameters(Parameters):
    mix: float = fields.slider(
        0.8,
        0.0,
        1.0,
        0.05,
        "Mix",
        "How much the words count beside the layer's layout: low keeps the layout, high follows the words.",
    )
    strength: float = fields.strength(
        0.9, "How far the picture may move from its own colours and shapes; the layout counts from here on."
    )
    guidance: float = fields.guidance(3.0)
    context: float = fields.context(1.0)
    detail: fields.Detail = fields.detail()
    until: float = fields.slider(
        0.5,
        0.0,
        0.95,
        0.05,
        "Layout until",
        "The layout counts down to this strength; below it only the words guide.",
        advanced=True,
    )
    mixed: Literal["run", "seen"] = Field(
        "run",
        title="Mixed",
        description="The picture itself keeps the layout; if only the view of the network is mixed, the words"
        " win.",
        json_schema_extra={
            **fields.ADVANCED,
            "x-enum-titles": ["The picture itself", "The view of the network"],
        },
    )
    steps: int = fields.steps(25)
    negative_prompt: str = fields.negative_prompt()


class MagicMix(Method):
    id = "magicmix"
    version = 1
    title = "Keep the shapes, change the thing"
    section = "repaint"
    summary = "Keeps the layout of the layer and fills it with the things that the prompt names."
    source = "Liew et al. 2022, MagicMix, arXiv:2210.16056, section 3.2"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    Parameters = MagicMixParameters

    def check(self, prompt: str, params: MagicMixParameters) -> None:
        """Raises `bad-request` where the layout would never count."""
        if params.until >= params.strength:
            raise VelaturaError(
                "bad-request", "The layout would never count; make “Layout until” lower than “Strength”."
            )

    def run(self, inputs: MethodInputs, params: MagicMixParameters, context: Context) -> Tensor:
        from velatura.diffusion import blending, denoiser, mixing, noise, samplers, schedule

        model = context.model
        D = denoiser.guided(model, inputs.prompt, params.negative_prompt, params.guidance)
        sigmas = schedule.sigmas(model.training_sigmas, params.steps, params.strength)
        z0 = model.encode(inputs.image)
        n = noise.standard_normal(inputs.seeds, z0.shape[1:]).to(z0)
        m = blending.latent_mask(inputs.mask, (z0.shape[-2], z0.shape[-1]))
        settled = schedule.level(model.training_sigmas, params.until)
        view = params.mix if params.mixed == "seen" else 1.0
        D_mix = mixing.mixing(D, z0, n, view, settled)

        def after_step(x: Tensor, step: samplers.Step) -> Tensor:
            context.step(step.i + 1, step.n, lambda: model.decode(step.denoised[:1]))
            if params.mixed == "run" and step.sigma_next > settled:
                x = mixing.mixture(x, z0, n, params.mix, step.sigma_next)
            return blending.blend(x, z0 + step.sigma_next * n, m)

        return context.decode(samplers.euler(D_mix, z0 + sigmas[0] * n, sigmas, after_step))
