"""The whole edit on the model we ship: what is prompted for is there, and nothing outside is touched."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import velatura
from tests.methods.requests import Edit, pixels
from velatura.models.catalogue import EMBEDDED_ID, entries
from velatura.models.store import ModelStore
from velatura.readers import load_judge

SAMPLES = Path(velatura.__file__).parent / "samples"
SAMPLE = json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8"))
BLD = "blended-latent-diffusion"
SEEDS = 8

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    return ModelStore(entries(tmp_path_factory.mktemp("state")))


@pytest.fixture(scope="module")
def judge():
    return load_judge()


def portrait():
    return np.array(Image.open(SAMPLES / SAMPLE["portrait"]["file"]).convert("RGB"))


def mask_of(edit):
    return np.array(Image.open(SAMPLES / edit["mask"]).convert("L"))


def laid_over(source, result):
    """The result over the source, as a host shows it: [h, w, 3] float, and the whole layer's alpha."""
    x, y, width, height = result.raster["rect"]
    window = np.s_[y : y + height, x : x + width]
    layer = pixels(result).astype(float)
    alpha = np.zeros(source.shape[:2])
    alpha[window] = layer[..., 3]
    picture = source.astype(float)
    weight = layer[..., 3:] / 255
    picture[window] = layer[..., :3] * weight + picture[window] * (1 - weight)
    return picture, alpha


def read(judge, pictures):
    """What the judge sees in pictures [h, w, 3] of 0 … 255."""
    batch = np.stack(pictures).transpose(0, 3, 1, 2) / 255
    return judge.read(torch.from_numpy(batch.astype(np.float32)))


@pytest.mark.parametrize("name", SAMPLE["edits"])
def test_an_edit_shows_what_was_asked_for_and_changes_nothing_else(models, judge, name):
    edit, source = SAMPLE["edits"][name], portrait()
    mask = mask_of(edit)
    results = Edit(
        source,
        mask,
        channels="RGB",
        method=BLD,
        model={"id": EMBEDDED_ID, "digest": ""},
        prompt=edit["prompt"],
        seed=1,
        variations=SEEDS,
        parameters={},
    ).run(models)
    pictures = []
    for result in results:
        picture, alpha = laid_over(source, result)
        assert np.array_equal(alpha, mask)
        assert np.array_equal(picture[mask == 0], source[mask == 0])
        pictures.append(picture)

    (before,) = read(judge, [source])
    assert any(before[key] != value for key, value in edit["expect"].items())
    seen = read(judge, pictures)
    right = [all(reading[key] == value for key, value in edit["expect"].items()) for reading in seen]
    assert sum(right) >= SEEDS - 1, [{key: reading[key] for key in edit["expect"]} for reading in seen]
    others = [key for key in ("person", "background", "shirt_colour") if key not in edit["expect"]]
    kept = [all(reading[key] == before[key] for key in others) for reading in seen]
    assert sum(kept) >= SEEDS - 1


def test_a_scribble_guides_the_edit_the_more_the_lower_the_strength(models):
    """A flat blue blob where the hat shall be: how far the result lies from it, at three strengths."""
    edit, source = SAMPLE["edits"]["hat"], portrait()
    mask = mask_of(edit)
    inside = mask == 255
    source[mask > 0] = [40, 70, 180]
    distances = []
    for strength in (0.2, 0.5, 1.0):
        results = Edit(
            source,
            mask,
            channels="RGB",
            method=BLD,
            model={"id": EMBEDDED_ID, "digest": ""},
            prompt=edit["prompt"].replace("red hat", "blue hat"),
            seed=1,
            variations=2,
            parameters={"strength": strength},
        ).run(models)
        pictures = [laid_over(source, result)[0] for result in results]
        distances.append(np.mean([np.abs(p[inside] - [40, 70, 180]).mean() for p in pictures]))
    assert distances == sorted(distances)
    assert distances[0] < distances[2] / 2
