"""SDEdit: noise the picture to a level, denoise it towards the prompt.

Meng et al. 2022, SDEdit: Guided Image Synthesis and Editing with Stochastic Differential Equations,
algorithm 1, in a latent space and along the probability-flow ODE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import fields
from .base import Context, Inputs, Method, MethodInputs, Parameters

if TYPE_CHECKING:
    from torch import Tensor


class SDEditParameters(Parameters):
    strength: float = fields.strength(0.6, "How far the picture may move from its own colours and shapes.")
    guidance: float = fields.guidance(3.0)
    context: float = fields.context(1.0)
    detail: fields.Detail = fields.detail()
    steps: int = fields.steps(16)
    negative_prompt: str = fields.negative_prompt()


class SDEdit(Method):
    id = "sdedit"
    version = 1
    title = "Repaint from its colours"
    summary = "Repaints the selection from its own colours and shapes."
    source = "Meng et al. 2022, SDEdit, arXiv:2108.01073, algorithm 1"
    section = "repaint"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    Parameters = SDEditParameters

    def run(self, inputs: MethodInputs, params: SDEditParameters, context: Context) -> Tensor:
        from velatura.diffusion import denoiser, noise, samplers, schedule

        model = context.model
        D = denoiser.guided(model, inputs.prompt, params.negative_prompt, params.guidance)
        sigmas = schedule.sigmas(model.training_sigmas, params.steps, params.strength)
        z0 = model.encode(inputs.image)
        n = noise.standard_normal(inputs.seeds, z0.shape[1:]).to(z0)

        def after_step(x: Tensor, step: samplers.Step) -> Tensor:
            context.step(step.i + 1, step.n, lambda: model.decode(step.denoised[:1]))
            return x

        return context.decode(samplers.dpmpp_2m(D, z0 + sigmas[0] * n, sigmas, after_step))
