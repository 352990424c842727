"""Networks of other families need a model of their own; samplers and methods stay as they are.

The UNets are real: one takes what SDXL's takes beside the text, one has the nine channels of inpainting.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import UNet2DConditionModel

from tests.cache.kept import cache, found, put
from tests.methods.requests import Edit, Recorded, box, picture, pixels
from tests.tiny import tiny_model
from velatura.cache.keys import tensor_digest
from velatura.diffusion import noise, samplers, schedule
from velatura.diffusion.condition import Condition, cat
from velatura.diffusion.denoiser import denoise, guided
from velatura.inversion.null_text import null_text
from velatura.methods.execute import execute
from velatura.models.catalogue import ModelEntry
from velatura.models.families.sd import StableDiffusion
from velatura.models.store import ModelStore

POOLED, SIZES = 16, (64.0, 64.0, 0.0, 0.0, 64.0, 64.0)


def unet(**more):
    return UNet2DConditionModel(
        sample_size=8,
        out_channels=4,
        block_out_channels=(32, 64),
        layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
        up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=64,
        attention_head_dim=8,
        **more,
    )


class TwoEncoders(StableDiffusion):
    """As SDXL: a pooled vector of the text, and the sizes and place of the picture in its original."""

    def encode_prompt(self, prompt):
        told = super().encode_prompt(prompt)
        pooled = told.states.mean(1)[:, :POOLED] + told.states[:, -1, :POOLED]
        return dataclasses.replace(told, parts={"pooled": pooled, "sizes": torch.tensor([SIZES])})

    def unet_arguments(self, x, condition):
        x, told = super().unet_arguments(x, condition)
        pooled, sizes = (condition.parts[name].to(self.dtype) for name in ("pooled", "sizes"))
        return x, told | {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": sizes}}


@dataclass
class Inpainting(StableDiffusion):
    """As Stable Diffusion's inpainting networks: x, the mask, and the latents of what is outside it."""

    channels: torch.Tensor = field(default_factory=lambda: torch.ones(1, 5, 8, 8))

    @torch.inference_mode()
    def prepared(self, image, mask):
        inside = (mask > 0.5).float()
        outside = self.encode(image * (1.0 - inside))
        channels = torch.cat([F.adaptive_max_pool2d(inside, outside.shape[-2:]), outside], 1)
        digest = f"{self.digest} for {tensor_digest(channels)}"
        return dataclasses.replace(self, channels=channels, digest=digest)

    def encode_prompt(self, prompt):
        return dataclasses.replace(super().encode_prompt(prompt), parts={"channels": self.channels})

    def unet_arguments(self, x, condition):
        _, told = super().unet_arguments(x, condition)
        return torch.cat([x, condition.parts["channels"]], 1), told


NETWORKS = {
    "sdxl": (
        TwoEncoders,
        {
            "in_channels": 4,
            "addition_embed_type": "text_time",
            "addition_time_embed_dim": 8,
            "projection_class_embeddings_input_dim": POOLED + 8 * len(SIZES),
        },
    ),
    "inpainting": (Inpainting, {"in_channels": 9}),
}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp("family"), vae="tiny")
    return ModelStore([ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64)])


@pytest.fixture(scope="module", params=NETWORKS)
def model(request, store):
    cls, more = NETWORKS[request.param]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        network = unet(**more)
    return cls(unet=network, **beside_the_unet(store))


def beside_the_unet(store):
    """What a model has beside its UNet, of the tiny one."""
    tiny = store.get()
    names = [f.name for f in dataclasses.fields(tiny) if f.name not in ("unet", "_prompts")]
    return {name: getattr(tiny, name) for name in names}


def theirs(model, condition):
    """What the UNet is told of a condition, in diffusers' own words."""
    if isinstance(model, TwoEncoders):
        pooled, sizes = condition.parts["pooled"], condition.parts["sizes"]
        return {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": sizes}}, None
    return {}, condition.parts["channels"]


@torch.inference_mode()
def test_guidance_is_what_two_calls_of_the_unet_give(model):
    x, sigma = noise.standard_normal([1, 2], (4, 8, 8)) * 2.0, 1.5
    t, F_ = schedule.time(model.training_sigmas, sigma), []
    for text in ("a beard", "a hat"):
        condition = cat([model.encode_prompt(text)] * 2)
        more, channels = theirs(model, condition)
        seen = x / (sigma**2 + 1.0) ** 0.5
        seen = seen if channels is None else torch.cat([seen, channels], 1)
        F_.append(model.unet(seen, t, condition.states, **more).sample)
    expected = x - sigma * (F_[0] + 3.0 * (F_[1] - F_[0]))
    found = guided(model, "a hat", "a beard", 3.0)(x, sigma)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sampler", samplers.SAMPLERS)
@torch.inference_mode()
def test_samplers_run_and_what_stands_beside_the_text_matters(model, sampler):
    sigmas = schedule.sigmas(model.training_sigmas, 4)
    x = sigmas[0] * noise.standard_normal([3], (model.latent_channels, 8, 8))

    def sampled(change=0.0):
        c = model.encode_prompt("a hat")
        c = Condition(c.states, c.valid, {name: part + change for name, part in c.parts.items()})
        return samplers.SAMPLERS[sampler](
            lambda x, sigma, at=None: denoise(model, x, sigma, c), x, sigmas, lambda x, step: x
        )

    z = sampled()
    assert z.shape == (1, 4, 8, 8) and z.isfinite().all()
    assert (sampled(1.0) - z).abs().max() > 1e-3


class Holding(ModelStore):
    """A store that has this model loaded."""

    def __init__(self, store, model):
        super().__init__([store.entry()])
        self._loaded = store.entry(), model


METHODS = {
    "sdedit": {"steps": 4},
    "blended-latent-diffusion": {"steps": 4},
    "prompt-to-prompt": {"steps": 4, "source_prompt": "a cat", "local_blend": False},
    "flow-align": {"steps": 4, "source_prompt": "a cat", "only_changes": False},
    "word-map": {"looks": 1},
    "diffedit-mask": {"looks": 1, "source_prompt": "a cat"},
}


@pytest.mark.parametrize("method", METHODS)
def test_methods_run_as_they_are(store, model, method):
    asked = Edit(
        picture(), box(64, 64, (16, 48), (16, 48)), method=method, parameters=METHODS[method], prompt="a hat"
    )
    results = execute(asked.request, asked.blobs.__getitem__, Holding(store, model), Recorded())
    assert results and all(np.isfinite(pixels(result)).all() for result in results)


def test_an_inpainting_network_is_told_of_the_picture_and_the_mask(store):
    cls, more = NETWORKS["inpainting"]
    told = []

    class Noting(cls):
        def unet_arguments(self, x, condition):
            told.append(condition.parts["channels"])
            return super().unet_arguments(x, condition)

    mask = box(64, 64, (16, 48), (8, 40))
    asked = Edit(picture(), mask, parameters={"steps": 4}, prompt="a hat")
    execute(
        asked.request,
        asked.blobs.__getitem__,
        Holding(store, Noting(unet=unet(**more), **beside_the_unet(store))),
        Recorded(),
    )
    assert told
    cells = torch.zeros(8, 8)
    cells[2:6, 1:5] = 1.0
    assert all(torch.equal(channels[0, 0], cells) and channels[:, 1:].std() > 0.0 for channels in told)


def test_null_text_inversion_fits_the_text_and_leaves_the_rest(model):
    z0, sigmas = noise.standard_normal([7], (4, 8, 8)), schedule.sigmas(model.training_sigmas, 2)
    c, uncond = (model.encode_prompt(text) for text in ("a hat", ""))
    with torch.inference_mode():
        trajectory = null_text(model, z0, c, uncond, sigmas, 5.0)
    assert len(trajectory.uncond) == 2
    for fitted in trajectory.uncond:
        assert not fitted.states.equal(uncond.states)
        assert fitted.with_states(uncond.states).equal(uncond)


def test_its_trajectory_is_kept_on_disk_with_all_parts(model, tmp_path):
    z0, sigmas = noise.standard_normal([7], (4, 8, 8)), schedule.sigmas(model.training_sigmas, 2)
    c = model.encode_prompt("a hat")
    with torch.inference_mode():
        trajectory = null_text(model, z0, c, model.encode_prompt(""), sigmas, 5.0)
    put(cache(tmp_path), "key", trajectory)
    read = found(cache(tmp_path), "key")
    assert all(a.equal(b) for a, b in zip(read.uncond, trajectory.uncond, strict=True))
