"""Concepts by dials with the model that ships: a dial raises its degree, two change both and nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from velatura.cache.cache import Cache
from velatura.methods.execute import execute
from velatura.methods.registry import describe, registry
from velatura.models.catalogue import entries
from velatura.models.store import ModelStore
from velatura_lab.evaluation import dials, sliders, together
from velatura_lab.evaluation.editors import Unwatched, laid_over
from velatura_lab.evaluation.encoders import home_made
from velatura_lab.evaluation.session import Options
from velatura_lab.evaluation.statistics import spearman
from velatura_lab.readers import load_judge
from velatura_protocol.rasters import Pixels
from velatura_protocol.requests import Edit, blobs
from velatura_protocol.schema import complete

SAMPLES = Path(__file__).resolve().parents[1] / "backend" / "velatura" / "samples"
PORTRAIT = json.loads((SAMPLES / "samples.json").read_text("utf-8"))["portrait"]
KEPT = ("person", "skin", "glasses", "hat", "shirt_colour", "background")
STEPS = 12
LEAST, MOST_LEAKAGE = 0.9, 1.3
"""Spearman's correlation of strength and degree; leakage of two concepts, of the larger one's alone."""


@pytest.fixture(scope="module")
def portrait():
    return np.asarray(Image.open(SAMPLES / PORTRAIT["file"]).convert("RGB"))


@pytest.fixture(scope="module")
def edit(tmp_path_factory, portrait):
    models, memory = ModelStore(entries(tmp_path_factory.mktemp("none"))), Cache(memory=1 << 28)

    def edit(*dials):
        form = describe(registry()["sega"])["parameters"]
        concepts = [{"less": less, "more": more, "strength": strength} for less, more, strength in dials]
        parameters = complete(
            form, {"source_prompt": PORTRAIT["caption"], "concepts": concepts, "steps": STEPS}
        )
        height, width = portrait.shape[:2]
        pixels = Pixels(portrait.tobytes(), (0, 0, width, height), "RGB", "u8", "sRGB")
        inputs = {"source": pixels, "mask": None}
        request = Edit("sega", 1, seed=7, parameters=parameters).on(inputs, (width, height)).to_wire()
        (layer,) = execute(request, blobs(inputs).__getitem__, models, Unwatched(), memory)
        return laid_over(portrait, layer.raster, layer.data)

    return edit


def read(*pictures):
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255.0
    return [reading.values for reading in load_judge().read(images)]


@pytest.mark.slow
def test_a_dial_raises_its_degree_and_two_change_both_and_leave_the_rest(edit, portrait):
    strengths = (0.0, 40.0, 70.0, 100.0)
    old = [edit(("young", "old", strength)) for strength in strengths]
    assert np.array_equal(old[0], portrait)
    degrees = [values["age"] for values in read(*old)]
    assert spearman(strengths, degrees) >= LEAST and degrees[-1] > degrees[0] + 0.1
    hair, both = edit(("short", "long", 40.0)), edit(("short", "long", 40.0), ("young", "old", 70.0))
    before, by_hair, by_age, by_both = read(portrait, hair, old[2], both)
    assert by_both["hair_length"] > before["hair_length"] + 0.5 * (
        by_hair["hair_length"] - before["hair_length"]
    )
    assert by_both["age"] > before["age"] + 0.5 * (by_age["age"] - before["age"])
    assert [by_both[name] for name in KEPT] == [before[name] for name in KEPT]
    # the corner of the background, which neither is about
    leaks = [
        np.abs(picture[:60, :60].astype(int) - portrait[:60, :60]).mean() for picture in (hair, old[2], both)
    ]
    assert leaks[2] <= max(MOST_LEAKAGE * max(leaks[:2]), 0.1)


@pytest.fixture(scope="module")
def mini(tmp_path_factory):
    return ModelStore(entries(tmp_path_factory.mktemp("none")))


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "word"), [("portrait", "broader smile"), ("landscape", "more snow")])
def test_degrees_of_scenes_of_each_kind_follow_the_dial(mini, kind, word):
    """Of a small place and of one that covers much of the picture, as it ships."""
    (change,) = (one for one in sliders.graded(kind) if one.name == word)
    (drawn,) = sliders.slides(kind, change, 1, 7, 128)
    (row,) = dials.editors(mini, Options(methods=["concepts"]), {"steps": STEPS})
    case = replace(drawn, weights=(0.0, 60.0, 100.0))
    turned = dials.Dialled(case, row.edit(case, [1]).pictures, home_made())
    assert np.array_equal(turned.at(0.0), case.source)
    assert dials.MEASURES["spearman"].of(turned) >= LEAST


@pytest.mark.slow
def test_two_concepts_of_a_drawn_scene_leak_hardly_more_than_the_larger(mini):
    changes = {change.name: change for change in sliders.graded("portrait")}
    (case,) = together.twos("portrait", (changes["older"], changes["longer hair"]), 1, 7, 128)
    (row,) = together.editors(mini, Options(methods=["concepts"]), {"steps": STEPS})
    turned = together.Turned(case, row.edit(case, [1]).pictures, home_made())
    assert together.MEASURES["both"].of(turned) == 1.0
    assert together.MEASURES["ratio"].of(turned) <= MOST_LEAKAGE
