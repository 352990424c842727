"""Paint from words: a whole layer, or a selection, from pure noise, with no picture beneath.

Rombach et al. 2022, High-Resolution Image Synthesis with Latent Diffusion Models: sampling from text alone.
At strength 1 the other methods still start from a trace of the layer; this one from none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import fields
from .base import Compared, Context, Inputs, Method, MethodInputs, Parameters

if TYPE_CHECKING:
    from torch import Tensor


class PaintParameters(Parameters):
    guidance: float = fields.guidance(3.0)
    context: float = fields.slider(
        0.0,
        0.0,
        4.0,
        0.25,
        "Room around",
        "How far the picture goes on around the selection, in sizes of the selection; only the selected part "
        "is kept.",
        marks={"x-context": True},
    )
    detail: fields.Detail = fields.detail()
    steps: int = fields.steps(16)
    negative_prompt: str = fields.negative_prompt()


class Paint(Method):
    id = "paint"
    version = 1
    title = "Paint from words"
    section = "new"
    summary = "Paints the prompt over the whole layer, or the selection, and reads nothing of what is there."
    source = "Rombach et al. 2022, Latent Diffusion, arXiv:2112.10752"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    from_nothing = True
    Parameters = PaintParameters

    def compared_with(self, params: PaintParameters) -> Compared:
        """The layer's own detail has no place in it."""
        return "nothing"

    def run(self, inputs: MethodInputs, params: PaintParameters, context: Context) -> Tensor:
        from velatura.diffusion import denoiser, noise, samplers, schedule

        model = context.model
        D = denoiser.guided(model, inputs.prompt, params.negative_prompt, params.guidance)
        sigmas = schedule.sigmas(model.training_sigmas, params.steps)
        height, width = (side // model.factor for side in inputs.size)
        n = noise.standard_normal(inputs.seeds, (model.latent_channels, height, width))

        def after_step(x: Tensor, step: samplers.Step) -> Tensor:
            context.step(step.i + 1, step.n, lambda: model.decode(step.denoised[:1]))
            return x

        return context.decode(samplers.dpmpp_2m(D, sigmas[0] * n.to(model.device), sigmas, after_step))
