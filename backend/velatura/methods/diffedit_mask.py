"""DiffEdit's mask: where a caption and the prompt disagree about the layer.

Couairon et al. 2023, DiffEdit: Diffusion-based semantic image editing with mask guidance, section 3.2, step
1."""

from __future__ import annotations

from typing import ClassVar

from . import fields
from .base import Context, Inputs, Mask, Method, MethodInputs, Parameters
from .differing import Differing


class DiffEditMaskParameters(Parameters):
    source_prompt: str = fields.source_prompt("A caption of the layer as it is now.")
    threshold: float = fields.slider(
        0.5, 0.0, 1.0, 0.05, "Threshold", "How strongly the captions must disagree; lower reaches wider."
    )
    softness: float = fields.softness()
    noise: float = fields.slider(
        0.5, 0.05, 0.95, 0.05, "Noise", "The share of noise at which the captions are compared."
    )
    looks: int = fields.whole(
        10, 1, 32, "Looks", "How often it looks, each time with other noise.", advanced=True
    )
    context: float = fields.context(1.0)


class DiffEditMask(Method):
    id = "diffedit-mask"
    version = 1
    title = "Select what would change"
    summary = "Finds where the layer would change if the prompt were true of it."
    source = "Couairon et al. 2023, DiffEdit, arXiv:2210.11427, section 3.2"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    result: ClassVar = "mask"
    max_variations = 1
    Parameters = DiffEditMaskParameters

    def check(self, prompt: str, params: DiffEditMaskParameters) -> None:
        """Raises `empty-prompt` without a caption of the layer."""
        fields.shown_now(params.source_prompt)

    def run(self, inputs: MethodInputs, params: DiffEditMaskParameters, context: Context) -> list[Mask]:
        from velatura.prompt_to_prompt.maps import as_mask

        differing = Differing(inputs.prompt, params.source_prompt, params.noise, params.looks)
        z0 = context.model.encode(inputs.image)
        (map,) = differing.maps(context, z0, inputs.seeds)
        return [Mask("changes", as_mask(map, inputs.size, params.threshold, params.softness))]
