"""Local CLIP-guided diffusion: CLIP leads the model inside a mask; a loss holds the outside to the source.

Avrahami et al. 2022, arXiv:2111.14818, algorithm 1, with the cut-outs of Crowson 2021.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from velatura.generators.protocol import DIFFUSION, PIXEL_DIFFUSION

from . import clip_guided, fields
from .base import Context, Method, MethodInputs

if TYPE_CHECKING:
    from torch import Tensor


class ClipGuidedDiffusionParameters(clip_guided.ClipGuidedParameters):
    strength: float = fields.strength(
        0.75, "How far the picture may move from what is there, also around the selection."
    )
    guidance: float = fields.guidance(3.0)
    background: float = fields.slider(
        1000.0,
        0.0,
        20000.0,
        100.0,
        "Keep the surroundings",
        "How strongly the picture around the selection is held to the layer, so that the edit fits into it.",
    )
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


class ClipGuidedDiffusion(clip_guided.LedByClip, Method):
    id = "clip-guided-diffusion"
    version = 1
    title = "Repaint by a critic's eye"
    summary = (
        "Repaints the selection under the eye of a network that compares pictures with words, and only asks "
        "the surroundings to stay."
    )
    source = "Crowson 2021, CLIP-guided diffusion; Avrahami et al. 2022, arXiv:2111.14818, algorithm 1"
    generator = (DIFFUSION, PIXEL_DIFFUSION)
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
