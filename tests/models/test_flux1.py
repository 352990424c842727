"""FLUX.1 beside diffusers' own pipelines, on the same random weights, prompt and noise."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch
from diffusers import FluxFillPipeline, FluxKontextPipeline, FluxPipeline, FluxTransformer2DModel
from diffusers.loaders.single_file_utils import convert_flux_transformer_checkpoint_to_diffusers
from safetensors.torch import load_file

from tests.models import flows
from tests.tiny_flux1 import FILL, authors_names, tiny_flux1, tiny_flux1_files, transformer
from velatura.diffusion import noise
from velatura.diffusion.denoiser import denoise
from velatura.models import model_files
from velatura.models.families.flux1 import load
from velatura.models.families.flux1_names import converted
from velatura.models.families.joint import pack, unpack
from velatura.models.recognition import recognise
from velatura_protocol.errors import VelaturaError

H, W, STEPS = 48, 64, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_flux1(tmp_path_factory.mktemp("flux1"))


@pytest.fixture(scope="module")
def model(folder):
    return flows.loaded(load, folder)


@pytest.fixture(scope="module")
def fill(tmp_path_factory):
    return tiny_flux1(tmp_path_factory.mktemp("fill"), channels=FILL)


def start(seed=0):
    return noise.standard_normal([seed], (16, H // 8, W // 8))


def theirs(cls, folder, prompt, **more):
    """The latents of the pipeline of this class."""
    pipeline = cls.from_pretrained(folder)
    pipeline.set_progress_bar_config(disable=True)
    arguments = {"height": H, "width": W, "num_inference_steps": STEPS, "latents": pack(start())}
    tokens = pipeline(prompt=prompt, output_type="latent", **arguments | more).images
    return unpack(tokens, H // 8, W // 8)


def close(found, expected):
    return (found - expected).abs().max() < 1e-4 * max(1.0, expected.std())


@pytest.mark.parametrize("scale", [1.0, 3.5])
def test_a_run_of_dev_is_that_of_diffusers(model, folder, scale):
    expected = theirs(FluxPipeline, folder, "a red hat", guidance_scale=scale)
    assert model.embeds_guidance
    found = flows.sampled(model.at_guidance(scale), start(), STEPS, "a red hat")
    assert close(found, expected)
    other = flows.sampled(model.at_guidance(8.0), start(), STEPS, "a red hat")
    assert (found - other).abs().max() > 1e-3


def test_a_run_of_schnell_is_that_of_diffusers(tmp_path):
    folder = tiny_flux1(tmp_path, schnell=True)
    model = flows.loaded(load, folder)
    assert not model.embeds_guidance and model.prompt_tokens == 256
    expected = theirs(FluxPipeline, folder, "a red hat", max_sequence_length=256)
    assert close(flows.sampled(model, start(), STEPS, "a red hat"), expected)
    with pytest.raises(VelaturaError, match="takes no strength of guidance"):
        model.at_guidance(2.0)


def test_fill_sees_the_mask_and_the_picture_outside_of_it(fill):
    model = flows.loaded(load, fill).at_guidance(30.0)
    image = torch.rand(1, 3, H, W) * 2.0 - 1.0
    mask = torch.zeros(1, 1, H, W)
    mask[..., 10:29, 16:40] = 1.0
    prepared = model.prepared(image, mask)
    assert prepared.digest != model.digest and prepared.digest != model.prepared(image, 1.0 - mask).digest
    expected = theirs(
        FluxFillPipeline,
        fill,
        "a red hat",
        guidance_scale=30.0,
        image=image / 2.0 + 0.5,
        mask_image=mask,
    )
    assert close(flows.sampled(_Ready(prepared), start(), STEPS, "a red hat"), expected)
    assert not close(flows.sampled(model, start(), STEPS, "a red hat"), expected)  # an empty picture


class _Ready:
    """A model that has been prepared for its picture already."""

    def __init__(self, model):
        self._model = model

    def __getattr__(self, name):
        return getattr(self._model, name)

    def prepared(self, image, mask):
        return self._model


def test_kontext_follows_an_instruction_about_a_picture(tmp_path):
    kontext = tiny_flux1(tmp_path, kontext=True)
    model = flows.loaded(load, kontext).at_guidance(2.5)
    assert model.most_references == 1
    picture = torch.rand(1, 3, 80, 48) * 2.0 - 1.0
    assert model.reference_picture(picture).shape[-2:] == (80, 48)  # near the area that it was trained on
    referring = model.referring([picture])
    found = flows.sampled(referring, start(), STEPS, "make it red")
    expected = theirs(
        FluxKontextPipeline,
        kontext,
        "make it red",
        image=picture / 2.0 + 0.5,
        guidance_scale=2.5,
        max_area=H * W,
        _auto_resize=False,
    )
    assert close(found, expected)
    assert not close(flows.sampled(model, start(), STEPS, "make it red"), expected)
    assert referring.digest != model.digest
    with pytest.raises(VelaturaError, match="takes one reference picture"):
        model.referring([picture, picture])


def test_other_children_take_no_pictures_and_maps_are_refused_unloaded(model, tmp_path):
    with pytest.raises(VelaturaError, match="takes no instructions"):
        model.referring([torch.zeros(1, 3, 16, 16)])
    folder = tiny_flux1(tmp_path, channels=128)
    with pytest.raises(VelaturaError, match="maps of depth or edges"):
        model_files.found({}, folder)


def test_pictures_are_encoded_and_decoded_as_by_diffusers(model, folder):
    pipeline = FluxPipeline.from_pretrained(folder, transformer=None, text_encoder_2=None)
    vae, image = pipeline.vae, torch.rand(1, 3, H, W) * 2.0 - 1.0
    with torch.no_grad():
        z = (vae.encode(image).latent_dist.mode() - 0.1159) * 0.3611
        back = vae.decode(z / 0.3611 + 0.1159).sample.clamp(-1.0, 1.0)
    assert (model.encode(image) - z).abs().max() < 1e-5 and (model.decode(z) - back).abs().max() < 1e-5
    assert (model.latent_channels, model.factor, model.multiple, model.attention_levels) == (16, 8, 16, (1,))


def test_the_shift_grows_with_the_picture(model):
    def middle(height, width):
        image = torch.zeros(1, 3, height, width)
        sigmas = model.prepared(image, image[:, :1]).training_sigmas
        return sigmas[len(sigmas) // 2 - 1]

    assert middle(256, 256) == pytest.approx(math.exp(0.5), rel=1e-3)  # 256 tokens
    assert middle(1024, 1024) == pytest.approx(math.exp(1.15), rel=1e-3)  # 4,096


def test_a_prompt_is_read_by_t5(model):
    read = model.tokenized("a red hat")
    assert [read.ids[i] for i in read.content] == model.tokenizer_2("a red hat").input_ids[:-1]
    assert len(read.ids) == 512 == model.encode_prompt("a red hat").states.shape[1]
    assert read.offsets[read.content[1]] == (2, 5)
    assert model.excess("a cat " * 300) > 0 == model.excess("a cat " * 100)
    model.encode_prompt("a cat " * 100)  # CLIP reads its start


@pytest.mark.parametrize("references", [0, 1])
def test_attention_by_explicit_maps_agrees(folder, references):
    model = flows.loaded(load, folder)
    model.instructs = True
    if references:
        model = model.referring([torch.rand(1, 3, 64, 64)])
    c, x, places = model.encode_prompt("a red hat").expand(2), torch.randn(2, 16, 4, 6), []
    with torch.inference_mode():
        plain = denoise(model, x, 0.7, c)
        held = denoise(model, x, 0.7, c, flows.by_maps(places))
    assert (plain - held).abs().max() < 1e-5
    assert len(places) == 3 and {p.kind for p in places} == {"joint"}
    assert {(p.text, p.image, p.level) for p in places} == {((0, 512), (512, 518), 1)}


def test_files_give_the_same_as_their_folder(model, folder, tmp_path):
    path = tiny_flux1_files(folder, tmp_path)
    x, time = torch.randn(1, 16, 4, 6), 0.6

    def prediction(of):
        with torch.inference_mode():
            return of.at_guidance(3.5).network(x, time, of.encode_prompt("a red hat"))

    expected = prediction(model)

    def loaded_from(path):
        """CLIP's tokenizer is that of the tiny CLIP; real files go without."""
        found = recognise(path, [tmp_path])
        assert found is not None and not found.missing
        parts = {**found.parts, "tokenizer": folder / "tokenizer"}
        found = dataclasses.replace(found, parts=parts, size=64)
        return load(found, "tiny", "digest", torch.device("cpu"), torch.float32)

    loaded = loaded_from(path)
    assert (prediction(loaded) - expected).abs().max() < 1e-5
    image = torch.rand(1, 3, 32, 32)
    assert (loaded.encode(image) - model.encode(image)).abs().max() < 1e-5
    assert (loaded.training_sigmas == model.training_sigmas).all()

    tensors = load_file(path)
    prefixed = flows.write(path, {f"model.diffusion_model.{k}": v for k, v in tensors.items()})
    assert (prediction(loaded_from(prefixed)) - expected).abs().max() < 1e-5
    path.unlink()
    exact = flows.write_gguf(path.with_suffix(".gguf"), tensors, "flux")
    assert (prediction(loaded_from(exact)) - expected).abs().max() < 1e-5
    quantised = flows.write_gguf(path.with_suffix(".gguf"), tensors, "flux", quantised=True)
    rounded = prediction(loaded_from(quantised)) - expected
    assert rounded.abs().max() > 1e-5 and rounded.std() < 0.05 * expected.std()


def test_names_are_converted_as_by_diffusers():
    """Its conversion knows 3,072 channels only: of each weight one column of this many rows is enough."""
    state = transformer().state_dict()
    small = {name: x[:, :1] if x.ndim == 2 else x for name, x in state.items()}
    large = {}
    for name, x in small.items():
        rows = x.shape[0] if "norm_q" in name or "norm_k" in name else x.shape[0] // 64 * 3072
        large[name] = torch.rand(max(rows, 1), *x.shape[1:])
    checkpoint = authors_names(large)
    expected = convert_flux_transformer_checkpoint_to_diffusers(dict(checkpoint))
    found = converted(dict(checkpoint))
    assert found.keys() == expected.keys() == state.keys()
    assert all(found[name].equal(expected[name]) and found[name].equal(large[name]) for name in expected)


@pytest.mark.parametrize("method", flows.METHODS)
def test_edits_end_at_the_selection(model, method):
    source, mask, results = flows.edited(model, method)
    for result in results:
        assert flows.outside(source, mask, result) == 0


def test_the_networks_can_be_adapted(model):
    assert isinstance(model.transformer, FluxTransformer2DModel)
    name = "transformer.single_transformer_blocks.0.attn.to_q"
    assert model.layers[name] == (64, 64)
    x, c = torch.randn(1, 16, 4, 4), model.encode_prompt("a cat")
    with torch.inference_mode():
        plain = model.network(x, 0.5, c)
        with model.adapted({name: lambda y: 10.0 * y}):
            changed = model.network(x, 0.5, c)
        assert not changed.equal(plain) and model.network(x, 0.5, c).equal(plain)
