"""Imagic on the model that ships: the layer is learned, and the slider leads from it to the prompt.

The fits are shorter than the shipped ones, so the bounds are wide.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import velatura
from tests.methods.requests import Edit, Recorded
from velatura.cache.cache import Cache
from velatura.methods.execute import execute
from velatura.models.catalogue import EMBEDDED_ID, entries
from velatura.models.store import ModelStore
from velatura_lab.evaluation.editors import laid_over
from velatura_lab.readers import load_judge

SAMPLES = Path(velatura.__file__).parent / "samples"
PORTRAIT = json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8"))["portrait"]

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def portrait():
    picture = Image.open(SAMPLES / PORTRAIT["file"]).convert("RGB")
    return np.asarray(picture.resize((128, 128), Image.Resampling.LANCZOS))


@pytest.fixture(scope="module")
def edited(portrait, tmp_path_factory):
    """The portrait as Imagic paints it at 0 and at 100 per cent."""
    models, cache = ModelStore(entries(tmp_path_factory.mktemp("none"))), Cache(memory=1 << 28)
    prompt = PORTRAIT["caption"].replace("young", "old").replace("brown", "grey")

    def edit(amount):
        asked = Edit(
            portrait,
            channels="RGB",
            method="imagic",
            model={"id": EMBEDDED_ID, "digest": ""},
            prompt=prompt,
            seed=1,
            parameters={"amount": amount, "steps": 10, "text_steps": 60, "layer_steps": 50},
        )
        (layer,) = execute(asked.request, asked.blobs.__getitem__, models, Recorded(), cache)
        return laid_over(portrait, layer.raster, layer.data)

    return edit(0.0), edit(100.0)


def psnr(a, b):
    return 10.0 * np.log10(255.0**2 / np.mean((a.astype(float) - b) ** 2))


def test_the_slider_leads_from_the_layer_to_the_prompt(edited, portrait):
    images = torch.from_numpy(np.stack([portrait, *edited])).permute(0, 3, 1, 2).float() / 255.0
    before, at_0, at_100 = (reading.values for reading in load_judge().read(images))
    assert before["hair_colour"] == at_0["hair_colour"] == "brown" and at_100["hair_colour"] == "grey"
    assert at_100["age"] > at_0["age"]
    near = [psnr(picture, portrait) for picture in edited]
    assert near[0] > 19.0 and near[1] < near[0] - 1.0, near
    for name in ("person", "background", "shirt_colour"):
        assert before[name] == at_0[name] == at_100[name]
