"""Qwen-Image and its editors beside diffusers' own pipelines, on the same weights, prompt and noise."""

from __future__ import annotations

import shutil

import pytest
import torch
from diffusers import QwenImageEditPipeline, QwenImageEditPlusPipeline, QwenImagePipeline
from diffusers.pipelines.qwenimage import pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus
from PIL import Image
from transformers import BatchFeature
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from tests.models import flows
from tests.tiny_qwen_image import tiny_qwen_image, wan_names
from velatura.diffusion import noise
from velatura.diffusion.condition import cat
from velatura.diffusion.denoiser import denoise
from velatura.models.families.joint import pack, unpack
from velatura.models.families.qwen_image import load

H, W, STEPS = 64, 96, 50
LONG = "a red hat with a long blue feather"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_qwen_image(tmp_path_factory.mktemp("qwen") / "Qwen-Image")


@pytest.fixture(scope="module")
def pipeline(folder):
    pipe = QwenImagePipeline.from_pretrained(folder)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.fixture(scope="module")
def model(folder):
    return few(flows.loaded(load, folder))


def few(model):
    """The model with a schedule for as many steps as the tests take."""
    return model.changed("", steps=4)


def start(n=1):
    return noise.standard_normal(range(n), (16, H // 8, W // 8))


def theirs(pipe, prompt, negative, scale, **more):
    latents = pipe(
        prompt=prompt,
        negative_prompt=negative,
        true_cfg_scale=scale,
        height=H,
        width=W,
        num_inference_steps=4,
        latents=pack(start()),
        output_type="latent",
        **more,
    ).images
    return unpack(latents, H // 8, W // 8)


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_a_run_is_that_of_diffusers(model, pipeline, scale):
    expected = theirs(pipeline, LONG, "ugly" if scale > 1.0 else None, scale)
    found = flows.sampled(model, start(), 4, LONG, "ugly", scale)
    assert expected.std() > 0.1
    assert (found - expected).abs().max() < 1e-4 * max(1.0, expected.std())


def test_latents_are_normalised_as_by_diffusers(model, pipeline):
    image = torch.rand(1, 3, H, W) * 2.0 - 1.0
    config = pipeline.vae.config
    mean, std = (torch.tensor(config[name]).view(1, 16, 1, 1) for name in ("latents_mean", "latents_std"))
    with torch.no_grad():
        z = pipeline.vae.encode(image[:, :, None]).latent_dist.mode()[:, :, 0]
        decoded = pipeline.vae.decode(z[:, :, None]).sample[:, :, 0].clamp(-1.0, 1.0)
    assert (model.encode(image) - (z - mean) / std).abs().max() < 1e-5
    assert (model.decode((z - mean) / std) - decoded).abs().max() < 1e-4
    assert (model.latent_channels, model.factor, model.multiple, model.attention_levels) == (16, 8, 16, (1,))


def test_a_prompts_words_are_found_inside_of_its_template(model):
    read = model.tokenized("a hat")
    assert len(read.ids) == model.encode_prompt("a hat").states.shape[1] == 4 + 5
    assert [read.offsets[j] for j in read.content] == [(0, 1), (1, 2), (2, 3), (3, 5)]
    assert read.content == range(4) and model.excess("a" * 1020) == 1


def test_attention_by_explicit_maps_agrees_for_prompts_of_other_lengths(model):
    c, places = cat([model.encode_prompt("a hat"), model.encode_prompt(LONG)]), []
    plain = denoise(model, start(2), 1.0, c)
    assert (denoise(model, start(2), 1.0, c, flows.by_maps(places)) - plain).abs().max() < 1e-5
    assert [place.kind for place in places] == ["joint", "joint"]
    length = c.states.shape[1]
    assert {(p.text, p.image) for p in places} == {((0, length), (length, length + 24))}


EDITORS = {
    "QwenImageEditPipeline": (QwenImageEditPipeline, 1),
    "QwenImageEditPlusPipeline": (QwenImageEditPlusPipeline, 2),
}


class Processor:
    """transformers' Qwen2_5_VLProcessor as far as the pipelines use it; that class wants torchvision."""

    def __init__(self, tokenizer):
        self.tokenizer, self.images = tokenizer, Qwen2VLImageProcessorPil()

    def __call__(self, text, images, **told):
        read = self.images(images=images, return_tensors="pt")
        for grid in read["image_grid_thw"]:
            count = int(grid.prod()) // self.images.merge_size**2
            text = [one.replace("<|image_pad|>", "<|here|>" * count, 1) for one in text]
        text = [one.replace("<|here|>", "<|image_pad|>") for one in text]
        return BatchFeature({**self.tokenizer(text, **told), **read})


def told_kinds(text_encoder):
    """A text encoder's forward that is told the kinds of its tokens, from which it takes the places of a
    picture's tokens. Without it transformers 5 places them in a line, which no training has seen."""
    plain = text_encoder.forward

    def forward(input_ids=None, **more):
        kinds = (input_ids == text_encoder.config.image_token_id).int()
        return plain(input_ids=input_ids, mm_token_type_ids=kinds, **more)

    return forward


@pytest.mark.parametrize("kind", EDITORS)
def test_reference_pictures_are_seen_as_by_diffusers(tmp_path, monkeypatch, kind):
    cls, count = EDITORS[kind]
    folder = tiny_qwen_image(tmp_path / "Qwen-Image-Edit", kind)
    base = QwenImagePipeline.from_pretrained(folder)
    pipe = cls(**base.components, processor=None)
    pipe.processor = Processor(base.tokenizer)
    pipe.set_progress_bar_config(disable=True)
    monkeypatch.setattr(pipe.text_encoder, "forward", told_kinds(pipe.text_encoder))
    for module in (pipeline_qwenimage_edit, pipeline_qwenimage_edit_plus):
        plain = module.calculate_dimensions
        smaller = lambda area, ratio, plain=plain: plain(area * 96**2 / 1024**2, ratio)  # noqa: E731
        monkeypatch.setattr(module, "calculate_dimensions", smaller)
    shown = [torch.randint(0, 256, (3, 96, 96)) for _ in range(count)]
    images = [Image.fromarray(x.permute(1, 2, 0).numpy().astype("uint8")) for x in shown]
    model = few(flows.loaded(load, folder, size=96))
    assert model.most_references == (1 if count == 1 else 3)
    expected = theirs(pipe, "make it red", "ugly", 3.0, image=images if count > 1 else images[0])
    referring = model.referring([x[None] / 127.5 - 1.0 for x in shown])
    found = flows.sampled(referring, start(), 4, "make it red", "ugly", 3.0)
    read = referring.tokenized("make it red")
    assert "".join("make it red"[slice(*read.offsets[j])] for j in read.content) == "make it red"
    assert len(read.ids) == referring.encode_prompt("make it red").states.shape[1]
    assert (found - expected).abs().max() < 1e-4 * max(1.0, expected.std())


@pytest.fixture(scope="module")
def shelf(folder, model, tmp_path_factory):
    """The same weights as a person's folders of ComfyUI have them."""
    shelf = tmp_path_factory.mktemp("comfy")
    names = model.transformer.state_dict()
    flows.write(shelf / "diffusion_models" / "qwen_image_bf16.safetensors", names)
    flows.write_gguf(shelf / "unet" / "qwen-image-F32.gguf", names, "qwen_image")
    flows.write_gguf(shelf / "unet" / "qwen-image-Q8_0.gguf", names, "qwen_image", quantised=True)
    flows.write(shelf / "vae" / "qwen_image_vae.safetensors", wan_names(model.autoencoder))
    shutil.copytree(folder / "tokenizer", shelf / "text_encoders" / "tokenizer")
    encoder = folder / "text_encoder" / "model.safetensors"
    shutil.copy(encoder, shelf / "text_encoders" / "qwen_2.5_vl_7b.safetensors")
    return shelf


FILES = {
    "diffusion_models/qwen_image_bf16.safetensors": 1e-4,
    "unet/qwen-image-F32.gguf": 1e-4,
    "unet/qwen-image-Q8_0.gguf": 0.2,
}


@pytest.mark.parametrize("file", FILES)
def test_files_give_what_the_folder_gives(model, shelf, file):
    other = few(flows.loaded(load, shelf / file, [shelf]))
    x, image = start(), torch.rand(1, 3, H, W)
    found, expected = (denoise(m, x, 1.0, m.encode_prompt("a red hat")) for m in (other, model))
    assert (found - expected).abs().max() < FILES[file]
    assert (other.encode(image) - model.encode(image)).abs().max() < 1e-5
    assert (other.training_sigmas == model.training_sigmas).all()


@pytest.mark.parametrize("method", flows.METHODS)
def test_methods_run_and_leave_the_rest_alone(model, method):
    source, mask, results = flows.edited(model, method)
    assert all(flows.outside(source, mask, result) == 0 for result in results)
