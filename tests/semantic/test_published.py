"""Against the authors' pipeline, as diffusers has it, where it is right."""

from __future__ import annotations

import math

import pytest
import torch
from diffusers import AutoencoderTiny, DDIMScheduler
from diffusers.pipelines.deprecated.semantic_stable_diffusion import SemanticStableDiffusionPipeline

from tests.tiny import SCHEDULER
from velatura.diffusion import noise, schedule
from velatura.inversion.trajectory import Trajectory
from velatura.semantic.edit import edit
from velatura.semantic.guidance import Concept, Momentum, Semantic
from velatura.semantic.source import Prompts, Source

# the steps divide the 1000 training times, without which diffusers' spacing is another
STEPS, PROMPT, NEGATIVE, GUIDANCE = 8, "a photo of a cat", "dull", 2.0


def concept(text, scale=5.0, threshold=0.9, begin=2, end=10**6, weight=1.0):
    return {
        "text": text,
        "scale": scale,
        "threshold": threshold,
        "begin": begin,
        "end": end,
        "weight": weight,
    }


ASKED = {
    "one, as published": ([concept("a hat")], Momentum(0.1, 0.4)),
    "one, without momentum": ([concept("a hat", begin=0, threshold=0.5)], Momentum()),
    "one that leads away": ([concept("a hat", scale=-7.0, threshold=0.0, begin=1)], Momentum(0.3, 0.6)),
    "one that cools down": ([concept("a hat", begin=1, end=3)], Momentum(0.5, 0.2)),
    "two, of other warm-ups": (
        [concept("a hat", begin=1), concept("snow", scale=-4.0, threshold=0.8, begin=3)],
        Momentum(0.3, 0.6),
    ),
    "three, weighted, of other cool-downs": (
        [
            concept("a hat", weight=0.5, end=5),
            concept("snow", scale=-4.0, threshold=0.975, end=3),
            concept("blue", scale=9.0, threshold=0.3, weight=2.0),
        ],
        Momentum(0.4, 0.7),
    ),
}


@pytest.fixture(scope="module")
def pipeline(model):
    made = SemanticStableDiffusionPipeline(
        vae=AutoencoderTiny(),
        text_encoder=model.text_encoder,
        tokenizer=model.tokenizer,
        unet=model.unet,
        scheduler=DDIMScheduler.from_config(SCHEDULER, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    made.vae_scale_factor = 8
    made.set_progress_bar_config(disable=True)
    return made


@pytest.mark.parametrize(("concepts", "momentum"), ASKED.values(), ids=ASKED)
@torch.inference_mode()
def test_the_latents_and_the_guidance_are_those_of_the_published_code(concepts, momentum, pipeline, model):
    start = noise.standard_normal([3, 4], (4, 8, 8))
    published = pipeline(
        prompt=[PROMPT] * 2,
        negative_prompt=[NEGATIVE] * 2,
        height=64,
        width=64,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        latents=start,
        output_type="latent",
        editing_prompt=[c["text"] for c in concepts],
        reverse_editing_direction=[c["scale"] < 0.0 for c in concepts],
        edit_guidance_scale=[abs(c["scale"]) for c in concepts],
        edit_threshold=[c["threshold"] for c in concepts],
        edit_warmup_steps=[c["begin"] for c in concepts],
        edit_cooldown_steps=[c["end"] for c in concepts],
        edit_weights=[c["weight"] for c in concepts],
        edit_momentum_scale=momentum.scale,
        edit_mom_beta=momentum.beta,
    ).images
    ours, guidance = run(model, concepts, momentum, [3, 4])
    assert relative(ours, published) < 1e-5
    ours = torch.stack([guidance.get(i, torch.zeros_like(ours)) for i in range(STEPS)])
    assert relative(ours, pipeline.sem_guidance[:STEPS]) < 1e-5
    assert ours.norm() > 0.1


def run(model, concepts, momentum, seeds):
    sigmas = schedule.sigmas(model.training_sigmas, STEPS)
    # the pipeline starts from the noise itself, in the variance-preserving form
    x = noise.standard_normal(seeds, (4, 8, 8)) * math.sqrt(1.0 + sigmas[0] ** 2)
    source = Source(model, Trajectory(sigmas, [x]), Prompts(PROMPT, NEGATIVE, GUIDANCE))
    semantic = Semantic(
        [
            Concept(
                model.encode_prompt(c["text"]),
                None,
                **{key: value for key, value in c.items() if key != "text"},
            )
            for c in concepts
        ],
        momentum,
    )
    guidance = {}

    def after_step(step):
        if step.i >= semantic.begin:
            guidance[step.i] = semantic.guidance.clone()

    return edit(source, semantic, after_step), guidance


def relative(a, b):
    """|a - b| / |b| in the Euclidean norm; |a| where b is 0."""
    size = b.norm()
    return float((a - b).norm() / size) if size > 0.0 else float(a.norm())
