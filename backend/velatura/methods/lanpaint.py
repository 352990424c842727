"""LanPaint: new content inside a mask, thought over at every step so that it fits the rest.

Zheng et al. 2025, LanPaint, arXiv:2502.03491; see `velatura.diffusion.langevin`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from . import fields
from .base import Context, Inputs, Method, MethodInputs, Parameters

if TYPE_CHECKING:
    from torch import Tensor

DRAFT_STEPS = 8
"""Steps of a draft, with one Langevin step each."""


class LanPaintParameters(Parameters):
    strength: float = fields.strength(
        0.9, "How far the selection may move from what is there. Lower it to keep its colours and shapes."
    )
    guidance: float = fields.guidance(3.0)
    thinking: int = fields.whole(
        2,
        0,
        20,
        "Second thoughts",
        "How often each step is thought over, so that the new part fits what is around it. Each costs as "
        "much as a step.",
    )
    change: Literal["selection", "rest"] = fields.instead()
    context: float = fields.context(1.0)
    pull: float = fields.slider(
        8.0,
        0.0,
        30.0,
        1.0,
        "Fit",
        "How strongly the surroundings insist; too much makes the new part restless.",
        advanced=True,
    )
    size: float = fields.slider(
        0.6,
        0.02,
        1.0,
        0.02,
        "Boldness",
        "How far a second thought may lead; less is steadier, more finds the fit sooner.",
        advanced=True,
    )
    early: int = fields.whole(
        1,
        0,
        20,
        "Calm end",
        "How many steps at the end are not thought over; some leave finer surfaces.",
        advanced=True,
    )
    steps: int = fields.steps(16)
    sampler: Literal["dpmpp_2m", "euler"] = Field(
        "euler",
        title="Steps are taken",
        description="How a step is taken between the second thoughts.",
        json_schema_extra={**fields.ADVANCED, "x-enum-titles": ["Quickly (DPM-Solver++)", "Plainly (Euler)"]},
    )
    negative_prompt: str = fields.negative_prompt()


class LanPaint(Method):
    id = "lanpaint"
    version = 1
    title = "Paint in to fit"
    summary = "Paints the prompt into the selection and thinks each step over, so that it fits the rest."
    source = "Zheng et al. 2025, arXiv:2502.03491 (LanPaint)"
    section = "selection"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    Parameters = LanPaintParameters

    def inverts(self, params: LanPaintParameters) -> bool:
        """Whether the background is replaced."""
        return params.change == "rest"

    def run(self, inputs: MethodInputs, params: LanPaintParameters, context: Context) -> Tensor:
        from velatura.diffusion import blending, denoiser, langevin, noise, samplers, schedule

        model = context.model
        steps, thinking = params.steps, params.thinking
        if context.is_draft:
            steps, thinking = min(steps, DRAFT_STEPS), min(thinking, 1)
        sigmas = schedule.sigmas(model.training_sigmas, steps, params.strength)
        y = model.encode(inputs.image)
        n = noise.standard_normal(inputs.seeds, y.shape[1:]).to(y)
        free = blending.free_cells(inputs.mask, (y.shape[-2], y.shape[-1]))
        conditional = langevin.Conditional(
            denoiser.guided(model, inputs.prompt, params.negative_prompt, params.guidance),
            y,
            free,
            langevin.Thinking(thinking, params.size, params.pull, early=params.early),
        )

        def after_step(step: samplers.Step) -> None:
            context.step(step.i + 1, step.n, lambda: model.decode(step.denoised[:1]))

        sampler = samplers.SAMPLERS[params.sampler]
        return context.decode(langevin.sample(conditional, n, sigmas, sampler, inputs.seeds, after_step))
