"""NaN in any network of a model is noticed where it arises, and never becomes a black patch."""

import pytest
import torch

from tests.methods.requests import Edit, Recorded, picture
from tests.tiny import tiny_blip, tiny_clip, tiny_model, tiny_pixel_model
from velatura.companions.blip import load_captioner
from velatura.companions.clip import load_encoder
from velatura.methods.execute import execute
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError

CPU = torch.device("cpu")
LOUD = {  # layers whose results a later norm makes small again
    "unet": lambda network: network.conv_in.weight,
    "vae": lambda network: network.post_quant_conv.weight,
    "text_encoder": lambda network: network.encoder.layers[-1].mlp.fc2.weight,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("precision"))


@pytest.fixture
def store(folder):
    return ModelStore([ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64)])


def edited(store):
    edit = Edit(picture(), method="sdedit", prompt="a hat", parameters={"steps": 4})
    return execute(edit.request, edit.blobs.__getitem__, store, Recorded())


@pytest.mark.parametrize("name", LOUD)
def test_a_network_that_overflows_computes_in_float32_from_then_on(store, name):
    model = store.get()
    network = model.networks[name].half()
    with torch.no_grad():
        LOUD[name](network).fill_(6e4)
    if name == "unet":
        model.dtype = torch.float16  # as a model is that was loaded so
    assert edited(store)
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}
    others = [model.networks[other].dtype for other in LOUD if other != name]
    assert others == [torch.float32] * 2


@pytest.mark.parametrize("name", LOUD)
def test_weights_that_are_no_numbers_end_in_a_sentence(store, name):
    with torch.no_grad():
        LOUD[name](store.get().networks[name])[0] = float("nan")
    with pytest.raises(VelaturaError, match="weights of the model 'tiny' hold values that are no numbers"):
        edited(store)


def test_an_autoencoder_that_was_widened_while_decoding_can_still_be_tuned_through(store):
    model = store.diffusion()
    vae = model.networks["vae"].half()
    with torch.no_grad():
        LOUD["vae"](vae).fill_(6e4)
    z = torch.ones(1, 4, 8, 8)
    model.decode(z)
    z.requires_grad_()
    model.decode_through(z).sum().backward()
    assert z.grad is not None and bool(z.grad.isfinite().all())


def test_a_model_of_pixels_is_guarded_too(tmp_path):
    folder = tiny_pixel_model(tmp_path)
    store = ModelStore([ModelEntry("tiny", "Tiny", "pixels", str(folder), 32)], dtype=torch.float16)
    model = store.get()
    with torch.no_grad():
        model.unet.conv_in.weight.fill_(6e4)
    x = torch.ones(1, 3, 32, 32)
    assert bool(model.network(x, 1.0, model.encode_prompt("")).isfinite().all())
    assert model.unet.dtype == torch.float32


def test_companions_are_guarded(tmp_path):
    clip = load_encoder(str(tiny_clip(tmp_path / "clip")), CPU, torch.float16)
    blip = load_captioner(str(tiny_blip(tmp_path / "blip")), CPU, torch.float16)
    with torch.no_grad():
        clip.network.vision_model.encoder.layers[0].mlp.fc2.weight.fill_(6e4)
        blip.network.text_decoder.bert.encoder.layer[-1].output.LayerNorm.weight.fill_(6e4)
    image = torch.rand(1, 3, 32, 32)
    assert bool(clip.images(image).isfinite().all())
    assert clip.network.dtype == torch.float32
    blip.captions(image, lambda i, n: None)
    assert blip.network.dtype == torch.float32
