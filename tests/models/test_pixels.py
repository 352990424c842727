"""Diffusion models of pixel space: what they are taken for, and how their network sees a picture."""

import pytest
import torch
from diffusers import UNet2DModel

from tests.tiny import tiny_clip, tiny_model, tiny_pixel_model
from velatura.diffusion.denoiser import denoise
from velatura.generators.protocol import DIFFUSION, PIXEL_DIFFUSION
from velatura.methods.base import Inputs, Method, Parameters
from velatura.methods.checks import lacking
from velatura.models import catalogue
from velatura.models.pixel_files import patch
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError


def opened(tmp_path, folder):
    entry = catalogue.add(tmp_path / "state", "mine", str(folder))
    return entry, ModelStore([entry]).get("mine")


@pytest.mark.parametrize(("side", "learned"), [(1, False), (1, True), (2, False)])
def test_the_network_sees_squares_of_pixels_and_its_variances_are_left_out(tmp_path, side, learned):
    folder = tiny_pixel_model(tmp_path / "model", 32, patch=side, learned=learned)
    entry, model = opened(tmp_path, folder)
    assert (entry.kind, entry.generator, entry.size) == ("pixels", PIXEL_DIFFUSION, 32)
    assert (model.size, model.multiple, model.factor, model.latent_channels) == (32, 2 * side, 1, 3)
    x = torch.randn(2, 3, 24, 40, generator=torch.Generator().manual_seed(1))
    unet = UNet2DModel.from_pretrained(folder / "unet").eval()
    with torch.no_grad():
        plain = torch.zeros_like(x)
        squares = torch.stack(
            [x[:, :, i::side, j::side] for i in range(side) for j in range(side)], dim=2
        ).flatten(1, 2)
        F = unet(squares, torch.tensor([300.0, 300.0])).sample[:, : 3 * side**2].unflatten(1, (3, side, side))
        for i in range(side):
            for j in range(side):
                plain[:, :, i::side, j::side] = F[:, :, i, j]
        torch.testing.assert_close(model.network(x, 300.0, model.encode_prompt("a").expand(2)), plain)


def test_latents_are_pictures(tmp_path):
    _, model = opened(tmp_path, tiny_pixel_model(tmp_path / "model"))
    x = torch.rand(1, 3, 32, 32) * 3.0 - 1.5
    assert model.encode(x).equal(x) and model.decode_through(x).equal(x)
    assert model.decode(x).equal(x.clamp(-1.0, 1.0))
    assert model.encode_prompt("a hat").equal(model.encode_prompt(""))
    assert model.excess("a hat " * 500) == 0


def test_a_gradient_goes_through_the_denoiser(tmp_path):
    _, model = opened(tmp_path, tiny_pixel_model(tmp_path / "model"))
    x = torch.randn(1, 3, 32, 32).requires_grad_()
    (grad,) = torch.autograd.grad(denoise(model, x, 1.0, model.encode_prompt("")).sum(), x)
    assert bool(torch.isfinite(grad).all()) and float(grad.abs().max()) > 0.0


@pytest.mark.parametrize("channels", [0, 1, 4, 6, 9, -3])
def test_channels_that_no_square_of_pixels_has(channels):
    with pytest.raises(ValueError, match="no square"):
        patch(channels)


def test_a_folder_with_impossible_channels_stays_in_the_list_with_its_fault(tmp_path):
    folder = tiny_pixel_model(tmp_path / "model")
    config = folder / "unet" / "config.json"
    config.write_text(config.read_text().replace('"in_channels": 3', '"in_channels": 5'))
    with pytest.raises(VelaturaError, match="no square"):
        catalogue.add(tmp_path / "state", "mine", str(folder))


class Either(Method):
    """Works with both kinds of diffusion."""

    id = "either"
    version = 1
    title = "Either"
    summary = "Either."
    source = "None"
    inputs = Inputs()
    generator = (DIFFUSION, PIXEL_DIFFUSION)

    class Parameters(Parameters):
        pass

    def run(self, inputs, params, context):
        raise NotImplementedError


def test_a_method_says_which_kinds_it_works_with(tmp_path):
    pixels, _ = opened(tmp_path, tiny_pixel_model(tmp_path / "pixels"))
    latent = catalogue.add(tmp_path / "state", "latent", str(tiny_model(tmp_path / "latent")))
    assert lacking(Either(), pixels) is None and lacking(Either(), latent) is None
    own = type("Own", (Either,), {**Either.__dict__, "generator": PIXEL_DIFFUSION})
    assert "needs a diffusion model of pixels" in str(lacking(own(), latent))


def test_without_a_name_the_first_model_that_suits_is_taken(tmp_path):
    first = catalogue.add(tmp_path / "state", "pixels", str(tiny_pixel_model(tmp_path / "pixels")))
    second = catalogue.add(tmp_path / "state", "latent", str(tiny_model(tmp_path / "latent")))
    models = [second, first]
    assert catalogue.entry_of(models, "", lambda model: model.kind == "pixels") == first
    assert catalogue.entry_of(models, "", lambda model: False) == second
    assert catalogue.entry_of(models, "latent", lambda model: model.kind == "pixels") == second


def test_a_companion_opened_within_an_edit_takes_part_in_gradients(tmp_path):
    folder = tiny_pixel_model(tmp_path / "model")
    tiny_clip(folder / "clip")
    store = ModelStore([catalogue.add(tmp_path / "state", "mine", str(folder))])
    with torch.inference_mode():
        store.get("mine")
        clip = store.clip()
    x = torch.rand(1, 3, 32, 32).requires_grad_()
    (grad,) = torch.autograd.grad(clip.images(x).square().sum(), x)
    assert grad.shape == x.shape
