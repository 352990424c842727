"""Chroma beside diffusers' own pipeline, on the same random weights, prompt and noise."""

from __future__ import annotations

import pytest
import torch
from diffusers import ChromaPipeline, ChromaTransformer2DModel

from tests.models import flows, ldm
from tests.tiny_chroma import authors_names, tiny_chroma
from velatura.diffusion import noise
from velatura.diffusion.condition import cat
from velatura.diffusion.denoiser import denoise
from velatura.models.adapters import reading
from velatura.models.families.chroma import load
from velatura.models.families.joint import pack, unpack
from velatura.models.known_families import FAMILIES

# diffusers' own network makes the part that diffusers has moved
pytestmark = pytest.mark.filterwarnings("ignore:`FluxPosEmbed` is deprecated:FutureWarning")
H, W, STEPS = 48, 64, 4
SHORT, LONG = "a red hat", "a photo of a dog with a blue hat, the beard red"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_chroma(tmp_path_factory.mktemp("chroma"))


@pytest.fixture(scope="module")
def model(folder):
    return flows.loaded(load, folder)


def start(n=1):
    return noise.standard_normal(range(n), (16, H // 8, W // 8))


def theirs(folder, prompt, negative, scale):
    """The latents of diffusers' pipeline, with the masks as masks: it gives numbers, which are added to the
    logits of attention, so that padding counts."""
    pipeline = ChromaPipeline.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    states, _, mask, other, _, other_mask = pipeline.encode_prompt(prompt, negative)
    tokens = pipeline(
        prompt_embeds=states,
        prompt_attention_mask=mask.bool(),
        negative_prompt_embeds=other,
        negative_prompt_attention_mask=other_mask.bool(),
        guidance_scale=scale,
        height=H,
        width=W,
        num_inference_steps=STEPS,
        latents=pack(start()),
        output_type="latent",
    ).images
    return unpack(tokens, H // 8, W // 8)


@pytest.mark.parametrize("scale", [1.0, 4.0])
def test_a_run_is_that_of_diffusers(model, folder, scale):
    expected = theirs(folder, LONG, SHORT, scale)
    found = flows.sampled(model, start(), STEPS, LONG, SHORT, scale)
    assert expected.std() > 0.1
    assert (found - expected).abs().max() < 1e-4 * max(1.0, expected.std())


def test_attention_by_explicit_maps_agrees_for_prompts_of_other_lengths(model):
    c, places = cat([model.encode_prompt(SHORT), model.encode_prompt(LONG)]), []
    plain = denoise(model, start(2), 1.0, c)
    assert (denoise(model, start(2), 1.0, c, flows.by_maps(places)) - plain).abs().max() < 1e-5
    length = c.states.shape[1]
    assert {(p.kind, p.text, p.image) for p in places} == {("joint", (0, length), (length, length + 12))}
    alone = denoise(model, start(2)[:1], 1.0, model.encode_prompt(SHORT))
    assert (plain[:1] - alone).abs().max() < 1e-5


def test_one_token_of_padding_is_read(model):
    read = model.tokenized(SHORT)
    assert len(read.ids) == model.encode_prompt(SHORT).states.shape[1] == len(read.content) + 2
    assert model.tokens_of(SHORT) == (len(read.content) + 1, 512)
    assert model.takes_guidance and not model.embeds_guidance


@pytest.fixture(scope="module")
def shelf(model, tmp_path_factory):
    """The same weights as a person's folders of ComfyUI have them."""
    shelf = tmp_path_factory.mktemp("comfy")
    names = authors_names(model.transformer.state_dict())
    flows.write(shelf / "diffusion_models" / "chroma1-hd.safetensors", names)
    flows.write(shelf / "diffusion_models" / "chroma-diffusers.safetensors", model.transformer.state_dict())
    flows.write_gguf(shelf / "unet" / "chroma1-hd-Q8_0.gguf", names, "flux", quantised=True)
    flows.write(shelf / "vae" / "ae.safetensors", ldm.autoencoder(model.autoencoder))
    t5 = {k: v for k, v in model.text_encoder.state_dict().items() if "embed_tokens" not in k}
    flows.write(shelf / "text_encoders" / "t5xxl.safetensors", t5)
    model.tokenizer.save_pretrained(shelf / "t5_tokenizer")
    return shelf


FILES = {
    "diffusion_models/chroma1-hd.safetensors": 1e-4,
    "diffusion_models/chroma-diffusers.safetensors": 1e-4,
    "unet/chroma1-hd-Q8_0.gguf": 0.2,
}


@pytest.mark.parametrize("file", FILES)
def test_files_give_what_the_folder_gives(model, shelf, file):
    other = flows.loaded(load, shelf / file, [shelf])
    assert isinstance(other.transformer, ChromaTransformer2DModel)
    x, image = start(), torch.rand(1, 3, H, W)
    found, expected = (denoise(m, x, 1.0, m.encode_prompt(SHORT)) for m in (other, model))
    assert (found - expected).abs().max() < FILES[file]
    assert (other.encode(image) - model.encode(image)).abs().max() < 1e-5
    assert (other.training_sigmas == model.training_sigmas).all()


@pytest.mark.parametrize("method", ["blended-latent-diffusion", "flow-align"])
def test_methods_run_and_leave_the_rest_alone(model, method):
    source, mask, results = flows.edited(model, method)
    assert all(flows.outside(source, mask, result) == 0 for result in results)


def test_adapters_of_flux_change_the_layers_that_both_have(model, tmp_path):
    width = 64
    key = "lora_unet_single_blocks_0_linear1"
    file = flows.write(
        tmp_path / "adapter",
        {
            f"{key}.lora_down.weight": torch.randn(2, width),
            f"{key}.lora_up.weight": torch.randn(7 * width, 2),
        },
    )
    assert FAMILIES["chroma"].wears("flux1") and not FAMILIES["chroma"].wears("sd3")
    assert not FAMILIES["flux1"].wears("chroma")
    read = reading.read(file, "adapter", model.networks, model.denoiser)
    adapter = reading.adapter([(read, 1.0)], model.networks, model.device)
    c = model.encode_prompt(SHORT)
    plain = denoise(model, start(), 1.0, c)
    with model.adapted(adapter):
        assert (denoise(model, start(), 1.0, c) - plain).abs().max() > 1e-2
    assert denoise(model, start(), 1.0, c).equal(plain)
