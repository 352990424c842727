"""LEDITS++ against diffusers' pipeline, where that is right, and closed forms where it is not."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from diffusers import (
    AutoencoderKL,
    DPMSolverMultistepScheduler,
    LEditsPPPipelineStableDiffusion,
    UNet2DConditionModel,
)
from diffusers.utils import logging
from tests.tiny import SCHEDULER
from transformers import CLIPTextModel, CLIPTokenizer

from velatura.diffusion.denoiser import guided_by
from velatura.inversion.ledits import Inverted, mean, predictions
from velatura.inversion.trajectory import silent
from velatura.semantic.ledits import Base, Concept, edit

STEPS = 8
#: The published code sums the maps of 75 tokens whatever the text has (its tokenizer pads before it counts),
#: so only texts of 75 letters, which this tokenizer reads one by one, are masked as the paper says.
LONG = "ahatwithaverywidebrimandafeatherthatisbent"
TEXTS = [(LONG * 2)[:75], (LONG[::-1] * 2)[:75]]

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@pytest.fixture(autouse=True)
def as_in_the_worker():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def pipe(quartered):
    kept = {
        name: value for name, value in SCHEDULER.items() if name.startswith(("num_train", "beta", "pred"))
    }
    scheduler = DPMSolverMultistepScheduler(
        **kept, algorithm_type="sde-dpmsolver++", solver_order=2, steps_offset=1
    )
    logging.set_verbosity_error()
    pipe = LEditsPPPipelineStableDiffusion(
        AutoencoderKL.from_pretrained(quartered / "vae"),
        CLIPTextModel.from_pretrained(quartered / "text_encoder"),
        CLIPTokenizer.from_pretrained(quartered / "tokenizer"),
        UNet2DConditionModel.from_pretrained(quartered / "unet"),
        scheduler,
        None,
        None,
        requires_safety_checker=False,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe.to(torch.float64)  # its own rounding in float32 is above 1e-5


@pytest.fixture(scope="module")
def published(pipe, model):
    """The pipeline after its inversion of a picture that is not square, and ours with the same noise."""
    image = torch.from_numpy(np.random.default_rng(3).random((1, 3, 128, 192), np.float32))
    with torch.inference_mode():
        pipe.invert(image, num_inversion_steps=STEPS, generator=torch.Generator().manual_seed(5))
        z0, _ = pipe.encode_image(image, dtype=torch.float64)
        generator = torch.Generator().manual_seed(5)
        n = [torch.randn(z0.shape, generator=generator, dtype=z0.dtype) for _ in range(STEPS)][::-1]
        sigmas = [*(float(model.training_sigmas[int(t)]) for t in pipe.inversion_steps), 0.0]
        x = [(z0 + sigma * noise).float() for sigma, noise in zip(sigmas, [*n, n[0]], strict=True)]
        uncond = model.encode_prompt("")
        D = guided_by(model, uncond, uncond, 1.0)
        return Inverted(sigmas, x, predictions(D, x, sigmas, [], silent))


def near(ours, theirs):
    """2e-5 relative, as norms: ours is float32, and D = x - sigma eps rounds at sigma = 8 and more."""
    assert float((ours - theirs).norm() / theirs.norm()) < 2e-5


def test_the_noise_is_the_published_one(pipe, published):
    for i, (sigma, sigma_next) in enumerate(list(pairwise(published.sigmas))[:-1]):
        D_last = published.before(i)
        lacks = published.x[i + 1] - mean(published.x[i], published.D[i], D_last, published.sigmas, i)
        near(lacks / (sigma_next * math.sqrt(1.0 - (sigma_next / sigma) ** 2)), pipe.zs[i])


CONCEPTS = {
    "one": [(TEXTS[0], 1.5, 0.9, 0, STEPS)],
    "away": [(TEXTS[0], -1.0, 0.6, 0, STEPS)],
    "two with windows": [(TEXTS[0], 2.0, 0.8, 1, 5), (TEXTS[1], -1.0, 0.5, 3, STEPS)],
}


@pytest.mark.parametrize("asked", CONCEPTS.values(), ids=CONCEPTS)
@pytest.mark.parametrize("painted", [False, True])
def test_the_edited_latents_are_the_published_ones(pipe, model, published, asked, painted):
    texts, scales, thresholds, first, last = zip(*asked, strict=True)
    # not a part: the published quantile counts the places outside of a painted one
    where = torch.full((1, 1, 16, 24), 0.5) if painted else None
    theirs = pipe(
        editing_prompt=list(texts),
        reverse_editing_direction=[scale < 0.0 for scale in scales],
        edit_guidance_scale=[abs(scale) for scale in scales],
        edit_threshold=list(thresholds),
        edit_warmup_steps=list(first),
        edit_cooldown_steps=list(last),
        user_mask=where,
        output_type="latent",
    ).images
    concepts = [
        Concept(model.encode_prompt(text), model.tokenized(text).words, *numbers, where)
        for text, *numbers in asked
    ]
    uncond = model.encode_prompt("")
    base, m = Base(uncond, uncond, 1.0), torch.ones(1, 1, 16, 24)
    ours = edit(model, published, base, concepts, m, lambda _: None)
    # the published last step ends on D, and loses what the network lacks; ours keeps it
    near(ours - (published.z0 - published.D[-1]), theirs)
    assert float((ours - published.z0).abs().max()) > 0.02
