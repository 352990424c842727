"""Local CLIP-guided diffusion: CLIP leads the model inside a mask; a loss holds the outside to the source.

Avrahami et al. 2022, arXiv:2111.14818, algorithm 1, with the cut-outs of Crowson 2021.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from velatura.generators.protocol import DIFFUSION, PIXEL_DIFFUSION

from . import clip_guided, fields
from .base import Context, Inputs, Method, MethodInputs, Parameters

if TYPE_CHECKING:
    from torch import Tensor


class ClipGuidedDiffusionParameters(Parameters):
    strength: float = fields.strength(
        0.75, "How far the picture may move from what is there, also around the selection."
    )
    scale: float = clip_guided.scale(5000.0)
    guidance: float = fields.guidance(1.0)
    background: float = fields.slider(
        1000.0,
        0.0,
        20000.0,
        100.0,
        "Keep the surroundings",
        "How strongly the picture around the selection is held to the layer, so that the edit fits into it.",
    )
    context: float = fields.context(1.0)
    sees_selection_only: bool = clip_guided.sees_selection_only(False)
    thorough: bool = clip_guided.thorough(False)
    cutouts: int = fields.whole(
        4,
        1,
        64,
        "Cut-outs",
        "How many random squares of the picture are compared with the prompt in each step.",
        advanced=True,
    )
    perceived: float = fields.slider(
        0.0,
        0.0,
        5000.0,
        50.0,
        "Keep the look of the surroundings",
        "The same, but for shapes and surfaces in place of single colours.",
        advanced=True,
    )
    range: float = clip_guided.range_scale(50.0)
    steps: int = fields.steps(50)


class ClipGuidedDiffusion(Method):
    id = "clip-guided-diffusion"
    version = 1
    title = "CLIP-guided diffusion"
    summary = (
        "Repaints the selection under the eye of a network that compares pictures with words, and only asks "
        "the surroundings to stay."
    )
    source = "Avrahami et al. 2022, arXiv:2111.14818, algorithm 1; Crowson 2021"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    needs = "clip"
    generator = (DIFFUSION, PIXEL_DIFFUSION)
    drafts = False
    Parameters = ClipGuidedDiffusionParameters

    def run(self, inputs: MethodInputs, params: ClipGuidedDiffusionParameters, context: Context) -> Tensor:
        from velatura.clip_guidance.augment import cutouts
        from velatura.clip_guidance.edit import Settings

        model = context.model
        model.check_prompt(inputs.prompt)
        settings = Settings(
            views=cutouts(params.cutouts, context.clip.side),
            steps=params.steps,
            strength=params.strength,
            clip=params.scale,
            range=params.range,
            background=params.background,
            perceived=params.perceived,
            is_blended=False,
            sees_mask_only=params.sees_selection_only,
            through_network=params.thorough,
            guidance=params.guidance,
        )
        return clip_guided.run(inputs, settings, context)
