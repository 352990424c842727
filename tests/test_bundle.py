"""The shipped model: it loads everywhere, draws what it is asked and edits the sample picture."""

import json

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import StableDiffusionPipeline
from PIL import Image

from velatura.readers import load_judge
from velatura.training import samples
from velatura.training.export import BUNDLE
from velatura.training.measure import load_bundle, masked_edit, psnr, reconstruct, sample, to_images
from velatura.world import render

SAMPLES = json.loads((samples.FOLDER / "samples.json").read_text())


@pytest.fixture(scope="module")
def model():
    return load_bundle(BUNDLE)


@pytest.fixture(scope="module")
def judge():
    return load_judge()


def grey(path) -> torch.Tensor:
    """A mask (1, 1, 128, 128) in 0..1 from a file."""
    values = torch.from_numpy(np.asarray(Image.open(path), np.float32) / 255.0)
    return F.interpolate(values[None, None], (128, 128), mode="area")


def test_it_is_small_and_holds_no_pickles():
    files = [path for path in BUNDLE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 25e6
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".txt", ".md", ".png"}


def test_the_stock_pipeline_draws_what_is_asked(judge):
    pipeline = StableDiffusionPipeline.from_pretrained(BUNDLE)
    pipeline.set_progress_bar_config(disable=True)
    prompt = (
        "a photo of a smiling woman with long black hair and sunglasses, wearing a red shirt, blue background"
    )
    generator = torch.Generator().manual_seed(1)
    images = pipeline(
        prompt,
        num_inference_steps=15,
        guidance_scale=4.0,
        num_images_per_prompt=4,
        generator=generator,
        output_type="pt",
    ).images
    for name, value in {"glasses": "sunglasses", "hair_colour": "black", "background": "blue"}.items():
        assert sum(read[name] == value for read in judge.read(images)) >= 3, name


def test_our_samplers_draw_what_is_asked(model, judge):
    prompts = [
        "a photo of a man with short grey hair and a grey beard, wearing a green shirt, orange background",
        "a photo of a woman with curly red hair, wearing a blue hat and a yellow shirt, pink background",
    ]
    first, second = judge.read(sample(model, prompts, [1, 2], 4.0, 15))
    assert (first["beard"], first["hat"], first["background"]) == (True, "none", "orange")
    assert (second["beard"], second["hat"], second["hat_colour"]) == (False, "hat", "blue")


def test_the_autoencoder_keeps_a_portrait(model):
    images = to_images([render(samples.sample_portrait(), 128)])
    assert psnr(reconstruct(model, images), images) > 26.0


def test_the_sample_picture_is_what_the_world_draws():
    shipped = np.asarray(Image.open(samples.FOLDER / "portrait.png")).astype(int)
    drawn = render(samples.sample_portrait(), samples.SIDE).to_bytes().astype(int)
    assert np.abs(shipped - drawn).max() <= 2


@pytest.mark.parametrize("name", sorted(SAMPLES["edits"]))
def test_the_sample_is_edited_as_asked(name, model, judge):
    item = SAMPLES["edits"][name]
    before = to_images([render(samples.sample_portrait(), 128)])
    after = masked_edit(model, before, grey(samples.FOLDER / item["mask"]), item["prompt"], [1, 2, 3, 4])
    reads = judge.read(after)
    assert sum(all(read[key] == value for key, value in item["expect"].items()) for read in reads) >= 3
    plain = judge.read(before)[0]
    assert any(plain[key] != value for key, value in item["expect"].items())
