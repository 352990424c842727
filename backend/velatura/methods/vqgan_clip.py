"""VQGAN-CLIP: the picture's latents are led to the words, and outside the selection back to the layer.

Crowson et al. 2022, VQGAN-CLIP, section 3."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import fields, latents_to_words
from .base import Context, Method, MethodInputs

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch
    from torch import Tensor

    from velatura.clip_guidance.latent_optimisation import Loss
    from velatura.generators.codes import CodeGenerator


class VqganClipParameters(latents_to_words.LatentsParameters):
    hold: float = fields.slider(
        1.0,
        0.0,
        5.0,
        0.25,
        "Hold",
        "How firmly the picture is held to what the layer shows now.",
    )


class VqganClip(latents_to_words.LatentsToWords, Method):
    id = "vqgan-clip"
    version = 1
    title = "Drift to the words"
    summary = "Lets the layer drift towards the prompt, step by step, as far as the selection reaches."
    source = "Crowson et al. 2022, VQGAN-CLIP, arXiv:2204.08583, section 3"
    Parameters = VqganClipParameters

    def run(self, inputs: MethodInputs, params: VqganClipParameters, context: Context) -> Tensor:
        from velatura.clip_guidance.latent_optimisation import views
        from velatura.clip_guidance.loss import ClipLoss, background_loss, spherical_distance

        clip = context.clip

        def loss(model: CodeGenerator, z0: Tensor, text: Tensor) -> tuple[Loss, Tensor | None]:
            image, mask = inputs.image.clone(), inputs.mask.clone()
            distance = ClipLoss(clip, text, views(params.views, clip.side), distance=spherical_distance)

            def lowered(pictures: Tensor, random: Sequence[torch.Generator]) -> Tensor:
                composite = image + mask * (pictures - image)
                kept = background_loss(pictures, image, mask)
                held = (pictures - image).square().flatten(1).mean(1)
                return distance(composite, random) + kept + params.hold * held

            return lowered, None

        return latents_to_words.run(inputs, params, context, loss)
