"""Local CLIP-guided diffusion and Blended Diffusion (Avrahami et al. 2022, arXiv:2111.14818, algorithms 1
and 2).

Both denoise the noised source towards pictures that CLIP finds close to words inside the mask. The first
holds the outside to the source by a loss, the second by blending in the noised source after every step.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from velatura.diffusion import blending, schedule
from velatura.diffusion.denoiser import Denoiser
from velatura.diffusion.network import LatentDiffusion
from velatura.diffusion.samplers import Step
from velatura.guidance.term import guided

from .ancestral import ancestral
from .augment import Views, generators
from .loss import ClipLoss, Encoder, Perceived, background_loss, range_loss, wanted
from .term import LIMIT, Loss, PictureGuidance

REFERENCE = 256 * 256
"""Pixels of the published pictures. The gradient of a mean over a picture falls with its pixels, and the
published scales hold for these."""


@dataclass(frozen=True)
class Settings:
    """How an edit is guided. Scales are those of the published scripts, at any size of picture.

    Args:
        views: CLIP's, of each predicted picture.
        steps: of a whole run.
        strength: the level to start from, as a fraction of the training times.
        clip: scale of the distance from the words.
        range: scale of `range_loss`.
        background: scale of `background_loss`.
        perceived: scale of `Perceived`.
        is_blended: whether the noised source is blended in outside the mask after every step.
        sees_mask_only: whether CLIP sees the inside of the mask alone.
        through_network: see `PictureGuidance`.
        guidance: scale of classifier-free guidance, for models that read the prompt.
        limit: see `PictureGuidance`.
    """

    views: Views
    steps: int
    strength: float
    clip: float
    range: float
    background: float = 0.0
    perceived: float = 0.0
    is_blended: bool = True
    sees_mask_only: bool = True
    through_network: bool = True
    guidance: float = 1.0
    limit: float = LIMIT


def edited(
    model: LatentDiffusion,
    encoder: Encoder,
    image: Tensor,
    mask: Tensor,
    prompt: str,
    seeds: Sequence[int],
    settings: Settings,
    after_step: Callable[[Step, Tensor], None],
) -> Tensor:
    """The latents [N, C, h, w] of the edited pictures, one a seed, whatever the batch.

    Args:
        model: in pixel space, or with a decoder that has gradients.
        encoder: CLIP.
        image: [1, 3, H, W] in [-1, 1].
        mask: [1, 1, H, W] in [0, 1], 1 to edit.
        prompt: the description of the wanted inside of the mask.
        seeds: one a variation.
        settings: of the edit.
        after_step: gets every step and the latents [1, C, h, w] of the first variation's expected result.

    Raises VelaturaError `prompt-too-long` for a prompt that CLIP does not read to its end.
    """
    z_init = model.encode(image)
    random = generators(seeds)

    def fresh() -> Tensor:
        shape = z_init.shape[1:]
        return torch.stack([torch.randn(shape, generator=generator) for generator in random]).to(z_init)

    n = fresh()
    m = blending.latent_mask(mask, (z_init.shape[-2], z_init.shape[-1]))
    term = PictureGuidance(
        _losses(encoder, image, mask, wanted(encoder, prompt), seeds, settings),
        model.decode_through,
        through_network=settings.through_network,
        limit=settings.limit,
    )
    cond, uncond = model.encode_prompt(prompt), model.encode_prompt("")
    D = guided(model, cond, uncond, settings.guidance, [term])
    if model.factor == 1:  # latents are pictures, whose values are bounded (clip_denoised of DDPM's code)
        D = _bounded(D)
    sigmas = schedule.sigmas(model.training_sigmas, settings.steps, settings.strength)

    def stepped(x: Tensor, step: Step) -> Tensor:
        expected = step.denoised[:1]
        if settings.is_blended:
            x = blending.blend(x, z_init + step.sigma_next * n, m)
            expected = blending.blend(expected, z_init, m)
        after_step(step, expected)
        return x

    return ancestral(D, z_init + sigmas[0] * n, sigmas, stepped, fresh)


@torch.inference_mode(False)  # a tensor made in inference mode cannot take part in a gradient; a copy can
def _losses(
    encoder: Encoder, image: Tensor, mask: Tensor, text: Tensor, seeds: Sequence[int], settings: Settings
) -> list[Loss]:
    """The losses with their scales; those of scale 0 are left out."""
    image, mask, text = image.clone(), mask.clone(), text.clone()
    clip = ClipLoss(encoder, text, settings.views, mask if settings.sees_mask_only else None)
    random = generators(seeds)
    share = image.shape[-2] * image.shape[-1] / REFERENCE
    parts: list[tuple[float, Loss]] = [
        (settings.clip, lambda x: clip(x, random)),
        (settings.range, range_loss),
        (settings.background, lambda x: background_loss(x, image, mask)),
        (settings.perceived, Perceived(encoder, image, mask)),
    ]
    return [_scaled(scale * share, loss) for scale, loss in parts if scale]


def _bounded(D: Denoiser) -> Denoiser:
    return lambda x, sigma, at=None: D(x, sigma, at).clamp(-1.0, 1.0)


def _scaled(scale: float, loss: Loss) -> Loss:
    return lambda pictures: scale * loss(pictures)
