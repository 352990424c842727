"""An instruction to a degree, against its formula."""

from __future__ import annotations

import pytest
import torch

from tests.models.flows import loaded
from tests.tiny import tiny_model
from tests.tiny_flux1 import tiny_flux1
from tests.tiny_sdxl import with_unet
from velatura.diffusion import noise
from velatura.diffusion.denoiser import denoise, guided
from velatura.diffusion.instructed import instructed
from velatura.models.families import flux1, sd

FAMILIES = {
    "flux1": lambda folder: loaded(flux1.load, tiny_flux1(folder, kontext=True)).at_guidance(2.5),
    "pix2pix": lambda folder: loaded(sd.load, with_unet(tiny_model(folder, vae="tiny"), in_channels=8)),
}


@pytest.fixture(scope="module", params=FAMILIES)
def model(request, tmp_path_factory):
    picture = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(3)) * 2.0 - 1.0
    return FAMILIES[request.param](tmp_path_factory.mktemp(request.param)).referring([picture])


@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize("negative", ["", "ugly"])
@torch.inference_mode()
def test_it_lies_between_without_and_with_and_beyond(model, scale, negative):
    x, sigma = 1.5 * noise.standard_normal([1, 2], (model.latent_channels, 8, 8)), 1.2
    without = denoise(model, x, sigma, model.encode_prompt("").expand(2))
    whole = guided(model, "make it red", negative, scale)(x, sigma)
    assert (whole - without).abs().max() > 1e-3
    for strength in (0.0, 0.4, 1.5):
        found = instructed(model, "make it red", negative, scale, strength)(x, sigma)
        torch.testing.assert_close(found, without + strength * (whole - without), rtol=1e-4, atol=1e-4)
    assert instructed(model, "make it red", negative, scale, 1.0)(x, sigma).equal(whole)
