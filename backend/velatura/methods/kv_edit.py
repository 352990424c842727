"""KV-Edit: the selection is painted anew while the network looks at the layer itself around it.

Zhu et al. 2025, KV-Edit, arXiv:2502.17363; see `velatura.diffusion.kv_edit`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from . import fields
from .base import Context, Inputs, Method, MethodInputs, Parameters, Stage

if TYPE_CHECKING:
    from torch import Tensor


class KVEditParameters(Parameters):
    source_prompt: str = fields.source_prompt("A caption of the layer as it is now; it may stay empty.")
    strength: float = fields.strength(
        1.0, "How far the selection may move from what is there. Lower it to keep its colours and shapes."
    )
    guidance: float = fields.guidance(3.0)
    forget: bool = Field(
        False,
        title="Forget what is there",
        description="Starts the selection from nothing, so that no trace of a thing stays; for removing "
        "things.",
    )
    change: Literal["selection", "rest"] = fields.instead()
    context: float = fields.context(1.0)
    reading: Literal["noise", "inversion"] = Field(
        "inversion",
        title="Reads the layer",
        description="By inversion, which keeps more of the layer, or by noise, which changes more and gives "
        "variations.",
        json_schema_extra={**fields.ADVANCED, "x-enum-titles": ["By noise", "By inversion"]},
    )
    bias: float = fields.slider(
        0.0,
        0.0,
        5.0,
        0.25,
        "Looks around",
        "How much more the new part looks at its surroundings than at itself.",
        advanced=True,
    )
    steps: int = fields.steps(16)
    negative_prompt: str = fields.negative_prompt()


class KVEdit(Method):
    id = "kv-edit"
    version = 1
    title = "Paint in and look around"
    summary = "Paints the prompt into the selection; at every step it looks at the layer itself around it."
    source = "Zhu et al. 2025, arXiv:2502.17363 (KV-Edit)"
    section = "selection"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    by_attention = True
    Parameters = KVEditParameters

    def varies(self, params: KVEditParameters) -> bool:
        """Whether the seed matters: not for an inverted layer, unless the selection starts from nothing."""
        return params.reading == "noise" or params.forget

    def inverts(self, params: KVEditParameters) -> bool:
        """Whether the background is replaced."""
        return params.change == "rest"

    def run(self, inputs: MethodInputs, params: KVEditParameters, context: Context) -> Tensor:
        import torch

        from velatura.diffusion import blending, kv_edit, noise, samplers, schedule

        model, caption = context.model, params.source_prompt.strip()
        sigmas = schedule.sigmas(model.training_sigmas, params.steps, params.strength)
        z0 = model.encode(inputs.image)
        n = noise.standard_normal(inputs.seeds, z0.shape[1:]).to(z0)
        free = blending.free_cells(inputs.mask, (z0.shape[-2], z0.shape[-1]))
        if params.reading == "noise":
            x_source, sampler = [z0 + sigma * n for sigma in sigmas], samplers.dpmpp_2m
        else:
            x_source, sampler = _inverted(inputs, params, context, sigmas), samplers.euler
        start = x_source[0].expand_as(n)
        if params.forget:
            start = torch.where(free, sigmas[0] * n, start)
        conditions = kv_edit.Conditions(
            *(model.encode_prompt(text) for text in (caption, inputs.prompt, params.negative_prompt))
        )

        def after_step(step: samplers.Step) -> None:
            context.step(step.i + 1, step.n, lambda: model.decode(step.denoised[:1]))

        z = kv_edit.edit(
            model,
            x_source,
            sigmas,
            conditions,
            params.guidance,
            free,
            start,
            sampler,
            after_step,
            params.bias,
        )
        return context.decode(z)


def _inverted(
    inputs: MethodInputs, params: KVEditParameters, context: Context, sigmas: list[float]
) -> list[Tensor]:
    """The layer's latents at each level by FireFlow's inversion, kept with the layer."""
    from velatura.prompt_to_prompt import source as inversions

    def after_step(i: int, n: int) -> None:
        context.step(i, n, stage=Stage("Reading the layer", 0.25))

    wanted = inversions.Wanted(params.source_prompt.strip(), params.negative_prompt, sigmas, 1.0)
    made = inversions.inverted(
        context.model, context.cache, inputs.image, wanted, "fireflow", inputs.seeds, after_step
    )
    return made.trajectory.x
