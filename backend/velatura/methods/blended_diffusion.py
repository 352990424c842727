"""Blended Diffusion: diffusion in pixel space, guided by CLIP inside a mask and held to the source outside.

Avrahami, Lischinski, Fried 2022, Blended Diffusion for Text-driven Editing of Natural Images, algorithm 2.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from velatura.generators.protocol import PIXEL_DIFFUSION

from . import clip_guided, fields
from .base import Context, Method, MethodInputs

if TYPE_CHECKING:
    from torch import Tensor


class BlendedDiffusionParameters(clip_guided.ClipGuidedParameters):
    strength: float = fields.strength(
        0.75,
        "How far the selection may move from what is there. Lower it to let a scribble, or the picture "
        "itself, guide the result.",
    )
    looks: int = fields.whole(
        8,
        1,
        32,
        "Looks",
        "How many bent and turned copies of the picture are compared with the prompt in each step. More "
        "gives cleaner shapes and takes longer.",
        advanced=True,
    )
    steps: int = fields.steps(100)


class BlendedDiffusion(clip_guided.LedByClip, Method):
    id = "blended-diffusion"
    version = 1
    title = "Fill by a critic's eye"
    summary = (
        "Paints the prompt into the selection with a model that reads no text, under the eye of one that "
        "compares pictures with words."
    )
    source = "Avrahami et al. 2022, Blended Diffusion, arXiv:2111.14818, algorithm 2"
    reads_prompt = "clip"
    generator = PIXEL_DIFFUSION
    Parameters = BlendedDiffusionParameters

    def run(self, inputs: MethodInputs, params: BlendedDiffusionParameters, context: Context) -> Tensor:
        from velatura.clip_guidance.augment import warps
        from velatura.clip_guidance.edit import Settings

        settings = Settings(
            views=warps(params.looks, context.clip.side),
            steps=params.steps,
            strength=params.strength,
            clip=params.scale,
            range=params.range,
            sees_mask_only=params.sees_selection_only,
            through_network=params.thorough,
        )
        return clip_guided.run(inputs, settings, context)
