"""The shipped model: it loads everywhere, and draws what it is asked."""

import json

import pytest
import torch
from diffusers import StableDiffusionPipeline

from velatura.evaluation.metrics import psnr
from velatura.readers import load_judge
from velatura.training.export import BUNDLE
from velatura.training.measure import Order, load_bundle, reconstruct, sample
from velatura.training.samples import sample_portrait
from velatura.world import render

KIND = "portrait"  # the one kind of scene that the shipped model has learnt

PROMPT = (
    "a photo of a smiling woman with long black hair and sunglasses, wearing a red shirt, blue background"
)
WANTED = {"glasses": "sunglasses", "hair_colour": "black", "shirt_colour": "red", "background": "blue"}


@pytest.fixture(scope="module")
def model():
    return load_bundle(BUNDLE)


@pytest.fixture(scope="module")
def judge():
    return load_judge()


def test_it_is_small_and_holds_no_pickles():
    files = [path for path in BUNDLE.rglob("*") if path.is_file()]
    assert sum(path.stat().st_size for path in files) < 25e6
    assert {path.suffix for path in files} <= {".safetensors", ".json", ".txt", ".md", ".png"}


def test_the_card_says_what_it_is():
    card = (BUNDLE / "README.md").read_text()
    for text in ("## Data", "## Training", "## Figures", "## Limits", "(samples.png)", "(edits.png)", KIND):
        assert text in card
    assert json.loads((BUNDLE / "figures.json").read_text())["attributes_as_prompted"]


def test_the_stock_pipeline_draws_what_is_asked(judge):
    pipeline = StableDiffusionPipeline.from_pretrained(BUNDLE)
    pipeline.set_progress_bar_config(disable=True)
    images = pipeline(
        PROMPT,
        num_inference_steps=15,
        guidance_scale=4.0,
        num_images_per_prompt=4,
        generator=torch.Generator().manual_seed(1),
        output_type="pt",
    ).images
    readings = judge.read(images)
    assert all(reading.kind == KIND for reading in readings)
    for name, value in WANTED.items():
        assert sum(reading.values[name] == value for reading in readings) >= 3, name


def test_our_samplers_draw_what_is_asked(model, judge):
    prompts = (
        "a photo of a man with short grey hair and a grey beard, wearing a green shirt, orange background",
        "a photo of a woman with curly red hair, wearing a blue hat and a yellow shirt, pink background",
    )
    first, second = (r.values for r in judge.read(sample(model, Order(prompts, (1, 2), (4.0, 4.0), 15))))
    assert (first["beard"], first["hat"], first["background"]) == (True, "none", "orange")
    assert (second["beard"], second["hat"], second["hat_colour"]) == (False, "hat", "blue")


def test_a_sample_follows_from_its_seed(model):
    one, other = (sample(model, Order((PROMPT, PROMPT), (5, seed), (4.0, 4.0), 3)) for seed in (5, 6))
    assert torch.equal(one[0], one[1])
    assert torch.equal(one[0], other[0])
    assert not torch.equal(other[0], other[1])


def test_the_autoencoder_keeps_a_portrait(model):
    images = torch.from_numpy(render(sample_portrait(), 128).rgb).permute(2, 0, 1)[None]
    assert psnr(reconstruct(model, images), images) > 26.0
