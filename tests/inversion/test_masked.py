"""DiffEdit: its mask and its decoding against diffusers where that is right, else the paper's lines."""

import math

import pytest
import torch
from diffusers import DDIMInverseScheduler, DDIMScheduler
from diffusers.pipelines.deprecated.stable_diffusion_diffedit.pipeline_stable_diffusion_diffedit import (
    StableDiffusionDiffEditPipeline,
)

from tests.inversion.conftest import STEPS
from tests.tiny import SCHEDULER
from velatura.diffusion.denoiser import guided_by
from velatura.diffusion.difference import difference
from velatura.inversion.ddim import direct
from velatura.inversion.masked import decode

GUIDANCE = 3.0


@pytest.fixture(scope="module")
def pipeline(tiny):
    model = tiny()
    config = {key: value for key, value in SCHEDULER.items() if key != "_class_name"}
    config |= {"clip_sample": False, "steps_offset": 1}  # the offset is asked for, but "trailing" has none
    made = StableDiffusionDiffEditPipeline(
        vae=model.autoencoder,
        text_encoder=model.text_encoder,
        tokenizer=model.tokenizer,
        unet=model.unet,
        scheduler=DDIMScheduler.from_config(config),
        safety_checker=None,
        feature_extractor=None,
        inverse_scheduler=DDIMInverseScheduler.from_config(config),
        requires_safety_checker=False,
    )
    made.set_progress_bar_config(disable=True)
    return made


def half():
    m = torch.zeros(1, 1, 8, 12)
    m[..., 6:] = 1.0
    m[..., 6] = 0.5
    return m


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")
def test_decoding_the_whole_picture_is_diffusers(source, pipeline):
    given = source(strength=0.5)
    trajectory = direct(given.model, given.z0, given.uncond, given.sigmas)
    scaled = [x / math.sqrt(s**2 + 1.0) for x, s in zip(trajectory.x, given.sigmas, strict=True)]
    (theirs, _) = pipeline(
        prompt_embeds=given.c.states,
        negative_prompt_embeds=given.uncond.states,
        mask_image=torch.ones(1, 1, 8, 12),
        image_latents=torch.stack(scaled[:-1], 1),
        inpaint_strength=0.5,
        num_inference_steps=STEPS,
        guidance_scale=GUIDANCE,
        output_type="latent",
        return_dict=False,
    )
    D = guided_by(given.model, given.c, given.uncond, GUIDANCE)
    ours = decode(D, trajectory, torch.ones(1, 1, 8, 12), lambda y, step: y)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)
    assert (ours - given.z0).abs().max() > 0.05  # something was edited


@pytest.mark.parametrize(("prediction", "zero_snr"), [("epsilon", False), ("v_prediction", True)])
def test_outside_the_mask_each_step_arrives_on_the_inverted_latents(source, prediction, zero_snr):
    """The published code blends with those of the level before, and so does not end on the picture."""
    given = source(prediction, zero_snr, 0.5)
    trajectory = direct(given.model, given.z0, given.uncond, given.sigmas)
    D = guided_by(given.model, given.c, given.uncond, GUIDANCE)
    m, seen = half(), []
    z = decode(D, trajectory, m, lambda y, step: seen.append(y) or y)
    y = trajectory.x[0]
    for i, (sigma, sigma_next) in enumerate(zip(given.sigmas, given.sigmas[1:], strict=False)):
        n = (y - D(y, sigma)) / sigma
        y = m * (y + (sigma_next - sigma) * n) + (1.0 - m) * trajectory.x[i + 1]
        torch.testing.assert_close(seen[i], y, rtol=1e-4, atol=1e-4)
        assert torch.equal(seen[i][..., :6], trajectory.x[i + 1][..., :6])
    assert torch.equal(z, seen[-1]) and torch.equal(z[..., :6], given.z0[..., :6])


def test_masks_of_several_variations_do_not_meet(source):
    given = source(strength=0.5)
    trajectory = direct(given.model, given.z0, given.uncond, given.sigmas)
    D = guided_by(given.model, given.c, given.uncond, GUIDANCE)
    both = decode(D, trajectory, torch.cat([half(), torch.ones(1, 1, 8, 12)]), lambda y, step: y)
    for m, z in zip((half(), torch.ones(1, 1, 8, 12)), both.split(1), strict=True):
        torch.testing.assert_close(decode(D, trajectory, m, lambda y, step: y), z, rtol=1e-4, atol=1e-5)


def test_the_mask_of_one_picture_is_diffusers(source, pipeline):
    """Theirs takes the mean over the whole batch: with one picture it is the picture's own. It also swaps the
    prompts with the empty one, which at scale 2 changes only the difference's sign."""
    given, looks = source(), 4
    theirs = pipeline.generate_mask(
        image=given.z0,
        target_prompt="a hat",
        source_prompt="",
        num_maps_per_mask=looks,
        num_inference_steps=STEPS,
        guidance_scale=2.0,
        generator=torch.Generator().manual_seed(1),
    )
    noises = torch.randn(looks, 4, 8, 12, generator=torch.Generator().manual_seed(1)).split(1)
    sigma = float(given.model.training_sigmas[499])
    map = difference(given.model, given.z0, given.c, given.uncond, sigma, noises, lambda i: None)
    assert map.amax() < 3.0 * map.mean()  # nothing is cut, so the map is theirs up to its scale
    assert torch.equal((map > 1.5 * map.mean()).int(), torch.from_numpy(theirs).int().view(8, 12))
    assert 0 < theirs.sum() < theirs.size
