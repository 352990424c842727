"""Imagic: the model learns one layer, then paints it again nearer to a text.

Kawar et al. 2023, Imagic: Text-Based Real Image Editing with Diffusion Models; see `velatura.tuning.imagic`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from . import fields
from .base import Context, Inputs, Method, MethodInputs, Parameters, Stage

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.diffusion.condition import Condition
    from velatura.tuning.lora import LoRA

TEXT_RATE, LAYER_RATE = 2e-2, 1e-3
"""The rates of both fits (`velatura.tuning`, DESIGN.md)."""

_TEXT_COST, _LAYER_COST = 2.0, 2.4
"""The time of a step of each fit, in passes of the network."""


class ImagicParameters(Parameters):
    amount: float = fields.slider(
        100.0,
        0.0,
        150.0,
        5.0,
        "How much",
        "How far to go from the layer to the prompt, in per cent; at 0 the layer is painted again as it is, "
        "above 100 the change is stronger. Once the layer is learned, moving this takes a moment only.",
    )
    strength: float = fields.strength(
        1.0, "How much is painted anew. Lower it to keep the layer's own shapes in place."
    )
    guidance: float = fields.guidance(3.0)
    context: float = fields.context(1.0)
    detail: fields.Detail = fields.detail()
    text_steps: int = fields.whole(
        60,
        1,
        2000,
        "Words learned",
        "How long the model looks for words that describe the layer. Changing it learns anew.",
        advanced=True,
    )
    layer_steps: int = fields.whole(
        120,
        1,
        4000,
        "Layer learned",
        "How long the model learns the layer itself. More keeps more of it, takes longer, and may leave less "
        "of the edit. Changing it learns anew.",
        advanced=True,
    )
    rank: int = fields.whole(
        8,
        1,
        64,
        "Room for the layer",
        "How much of the layer the model can learn. Changing it learns anew.",
        advanced=True,
    )
    steps: int = fields.steps(16)
    negative_prompt: str = fields.negative_prompt()


class Imagic(Method):
    id = "imagic"
    version = 1
    title = "Learn the layer, then change it"
    section = "words"
    summary = "Learns this one layer, then repaints it by a slider towards a prompt for the whole picture."
    source = (
        "Kawar et al. 2023, Imagic, arXiv:2210.09276, section 3.2 and eq. 2-3; "
        "Hu et al. 2022, arXiv:2106.09685"
    )
    inputs = Inputs(source="required", mask="optional", prompt="required")
    drafts = False  # while the layer is not learned, a draft would show nothing for a minute
    Parameters = ImagicParameters

    def run(self, inputs: MethodInputs, params: ImagicParameters, context: Context) -> Tensor:
        from velatura.diffusion import blending, denoiser, noise, samplers, schedule
        from velatura.tuning.imagic import interpolated

        model = context.model
        z0 = model.encode(inputs.image)
        sigmas = schedule.sigmas(model.training_sigmas, params.steps, params.strength)
        c_opt, lora = _learned(inputs, params, context, z0, len(sigmas) - 1)
        c = interpolated(model.encode_prompt(inputs.prompt), c_opt, params.amount / 100.0)
        D = denoiser.guided_by(model, c, model.encode_prompt(params.negative_prompt), params.guidance)
        n = noise.standard_normal(inputs.seeds, z0.shape[1:]).to(z0)
        m = blending.latent_mask(inputs.mask, (z0.shape[-2], z0.shape[-1]))

        def after_step(z: Tensor, step: samplers.Step) -> Tensor:
            preview = blending.blend(step.denoised[:1], z0, m)
            context.step(step.i + 1, step.n, lambda: model.decode(preview))
            return blending.blend(z, z0 + step.sigma_next * n, m)

        with model.adapted(lora):
            z = samplers.dpmpp_2m(D, z0 + sigmas[0] * n, sigmas, after_step)
        return context.decode(z)


def _learned(
    inputs: MethodInputs, params: ImagicParameters, context: Context, z0: Tensor, steps: int
) -> tuple[Condition, LoRA]:
    """e_opt and the LoRA of this layer and prompt, from the cache where they are known.

    steps: of the run that follows, for the shares of the stages.
    """
    from velatura.cache.keys import key_of
    from velatura.tuning import imagic

    model = context.model
    text = imagic.Fit(params.text_steps, TEXT_RATE)
    layer = imagic.Fit(params.layer_steps, LAYER_RATE)
    costs = _TEXT_COST * text.steps, _LAYER_COST * layer.steps, 2.0 * steps * len(inputs.seeds)
    words = Stage("Finding words for the layer", costs[0] / sum(costs))
    whole = Stage("Learning the layer", costs[1] / sum(costs))
    c_tgt = model.encode_prompt(inputs.prompt)
    made_of: dict[str, Any] = {"z0": z0, "prompt": inputs.prompt, "text": list(text)}

    def embedding(begun: list[Any]) -> Condition:
        return imagic.optimised_embedding(
            model, z0, c_tgt, text, begun, lambda i, n: context.step(i, n, stage=words)
        )

    c_opt = context.kept(key_of(model, imagic="embedding", **made_of), embedding, on_disk=True)

    def network(begun: list[Any]) -> LoRA:
        return imagic.fine_tuned(
            model, z0, c_opt, params.rank, layer, begun, lambda i, n: context.step(i, n, stage=whole)
        )

    made_of |= {"layer": list(layer), "rank": params.rank}
    return c_opt, context.kept(key_of(model, imagic="network", **made_of), network, on_disk=True)
