"""The methods that CLIP leads, with the models that ship: the selection comes nearer to the words.

The runs are shorter than the shipped ones. CLIP is no sufficient judge of a picture that was made to
please it, so the colour that was asked for is measured too.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import velatura
from tests.methods.requests import Edit, box
from velatura.methods.execute import execute
from velatura.models.catalogue import EMBEDDED_PIXELS_ID, EMBEDDED_VQ_ID, entries
from velatura.models.store import ModelStore
from velatura_lab.evaluation.editors import Unwatched, laid_over

SAMPLES = Path(velatura.__file__).parent / "samples"
PORTRAIT = json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8"))["portrait"]
PROMPT = PORTRAIT["caption"].replace("white shirt", "red shirt")
SIDE = 128
SHIRT = box(SIDE, SIDE, (102, SIDE), (13, 115))
FEW = {
    "vqgan-clip": (EMBEDDED_VQ_ID, {"steps": 30, "views": 4}),
    "text2live": (EMBEDDED_VQ_ID, {"steps": 24, "views": 2, "place": "the shirt"}),
    "blended-diffusion": (EMBEDDED_PIXELS_ID, {"steps": 30, "looks": 4, "strength": 0.9}),
}
REDDER = ("vqgan-clip", "blended-diffusion")
"""Those that colour the shirt in so few steps; paint is only thin by then."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def portrait():
    picture = Image.open(SAMPLES / PORTRAIT["file"]).convert("RGB")
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


def redness(picture):
    """How much more red than green and blue the shirt's middle is, in [-1, 1]."""
    red, green, blue = picture[112:, 40:88].astype(float).mean((0, 1)) / 255.0
    return red - max(green, blue)


@pytest.mark.parametrize("method", FEW)
def test_the_selection_comes_nearer_to_the_words_and_the_rest_stays(method, portrait, tmp_path):
    model, parameters = FEW[method]
    models = ModelStore(entries(tmp_path))
    asked = Edit(
        portrait,
        SHIRT,
        channels="RGB",
        method=method,
        model={"id": model, "digest": ""},
        prompt=PROMPT,
        seed=1,
        parameters=parameters,
    )
    (layer,) = execute(asked.request, asked.blobs.__getitem__, models, Unwatched())
    edited = laid_over(portrait, layer.raster, layer.data)
    assert np.array_equal(edited[SHIRT == 0], portrait[SHIRT == 0])
    pictures = torch.from_numpy(np.stack([portrait, edited])).permute(0, 3, 1, 2).float() / 255.0
    with torch.inference_mode():
        before, after = models.clip().similarity(pictures, [PROMPT]).flatten().tolist()
    assert after > before + 0.015
    if method in REDDER:
        assert redness(edited) > redness(portrait) + 0.05
