"""With the model we ship the ranking prefers what was asked for, in pictures whose truth is known."""

import json

import numpy as np
import pytest

from tests.canvas.layers import layer, selection
from velatura.canvas.geometry import plan
from velatura.canvas.region import see
from velatura.methods.registry import registry
from velatura.models.catalogue import EMBEDDED_ID, entries
from velatura.models.store import ModelStore
from velatura.ranking.asked import Asked
from velatura.ranking.rank import MISSES, order
from velatura_lab.bench.ranking import SAMPLES, measure, report, sample_case
from velatura_lab.evaluation.cases import of_pair
from velatura_lab.evaluation.editors import MethodEditor
from velatura_lab.evaluation.statistics import auc
from velatura_lab.world import CATALOGUE, edit, make_pair, render

SIZE = 128
EDITS = ("hat", "glasses", "beard")
#: Attributes of which one is changed in a pair.
WORLD = {
    "portrait": ("glasses", "hat", "hair_colour", "beard"),
    "landscape": ("season", "snow", "time", "path"),
    "table": ("cloth_colour", "wall", "second_colour", "thing"),
}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return ModelStore(entries(tmp_path_factory.mktemp("state")))


@pytest.fixture(scope="module")
def model(store):
    return store.get(EMBEDDED_ID)


def seen_by(model, case, picture):
    """What the model is shown of a case, or of a result of it, as `execute` cuts it out."""
    on = layer(np.dstack([picture, np.full(picture.shape[:2], 255, np.uint8)]))
    chosen = selection(case.mask, on)
    return see(on, chosen, plan(chosen.bounds, picture.shape[:2], model.size, model.multiple, 1.0))


def readings(model, case, pictures, prompt):
    """Of pictures of a case."""
    asked = Asked(model, seen_by(model, case, case.source), prompt)
    return asked.read([seen_by(model, case, picture).image for picture in pictures], lambda: None)


def drawn(kind, attribute, number):
    """An exact pair as a case, and pictures that are wrong: the source as it was and, where the attribute has
    a third value, the source with that."""
    rng = np.random.default_rng([7, number])
    changes = [change for change in CATALOGUE[kind] if change.attribute == attribute]
    pair = make_pair(kind, rng, change=changes[rng.integers(len(changes))])
    case = of_pair(pair, "", SIZE)
    known = {getattr(scene, attribute) for scene in (pair.source, pair.target)}
    others = [change.target for change in changes if change.target not in known]
    if not others or isinstance(others[0], float):
        return case, [case.source]
    other = edit(pair.source, **{attribute: others[rng.integers(len(others))]})
    return case, [case.source, render(other, SIZE).to_bytes()]


def test_what_was_asked_for_comes_before_what_was_not(model):
    cases = [drawn(kind, name, i) for kind, names in WORLD.items() for i, name in enumerate(names)]
    found = []
    for case, wrong in cases:
        values = readings(model, case, [case.target, *wrong], case.target_prompt)
        found.append(auc(values, [True] + [False] * len(wrong)))
    assert np.mean(found) >= 0.8


def test_by_the_prompt_of_the_source_the_order_is_the_other_way_round(model):
    cases = [drawn(kind, names[0], 0)[0] for kind, names in WORLD.items()]
    for case in cases:
        target, source = readings(model, case, [case.target, case.source], case.source_prompt)
        assert source > target


@pytest.mark.parametrize("name", EDITS)
def test_the_sample_as_it_was_is_doubted_beside_an_edit_of_it(store, model, name):
    case = sample_case(json.loads((SAMPLES / "samples.json").read_text(encoding="utf-8")), name)
    editor = MethodEditor(registry()["blended-latent-diffusion"], store, EMBEDDED_ID)
    pictures = [case.source, *editor.edit(case, [0]).pictures]
    places = order({"asked": readings(model, case, pictures, case.target_prompt)})
    assert [place.rank for place in places] == [1, 0] and places[0].why == MISSES


@pytest.mark.parametrize("name", EDITS)
def test_the_first_of_four_is_what_was_asked_for(name):
    figures = measure([name], seeds=2, variations=4, device="cpu")
    row = figures["edits"][name]
    assert row["runs"] == 2 and row["first_right"] == row["any_right"]
    assert figures["ratio"] > 0.0 and "of 2 runs" in report(figures)
