"""PaintByWord++: only the latents within the selection are led to the words.

Bau et al. 2021, Paint by Word, section 3, with a VQGAN in place of StyleGAN, as Avrahami et al. 2022 compare
with it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import latents_to_words
from .base import Context, Method, MethodInputs

if TYPE_CHECKING:
    from torch import Tensor

    from velatura.clip_guidance.latent_optimisation import Loss
    from velatura.generators.codes import CodeGenerator


class PaintByWordParameters(latents_to_words.LatentsParameters):
    scatter: float = latents_to_words.scatter(0.4)
    rate: float = latents_to_words.rate(0.06)


class PaintByWord(latents_to_words.LatentsToWords, Method):
    id = "paint-by-word"
    version = 1
    title = "Paint by word"
    summary = "Reshapes only the places in the selection until they show the prompt."
    source = (
        "Bau et al. 2021, Paint by Word, arXiv:2103.10951, section 3; "
        "Avrahami et al. 2022, arXiv:2111.14818, section 4"
    )
    Parameters = PaintByWordParameters

    def run(self, inputs: MethodInputs, params: PaintByWordParameters, context: Context) -> Tensor:
        from velatura.clip_guidance.latent_optimisation import views
        from velatura.clip_guidance.loss import ClipLoss, spherical_distance
        from velatura.diffusion.blending import latent_mask

        clip = context.clip

        def loss(model: CodeGenerator, z0: Tensor, text: Tensor) -> tuple[Loss, Tensor | None]:
            mask = inputs.mask.clone()
            free = latent_mask(mask, (z0.shape[-2], z0.shape[-1]))
            seen = views(params.views, clip.side)
            return ClipLoss(clip, text, seen, mask=mask, distance=spherical_distance), free

        return latents_to_words.run(inputs, params, context, loss)
