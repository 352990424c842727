"""With the CLIP we ship the ranking prefers what was asked for, in pictures whose truth is known."""

import numpy as np
import pytest

from tests.ranking.conftest import scene
from velatura.canvas.paste import Pasted
from velatura.evaluation.cases import of_pair
from velatura.evaluation.statistics import auc
from velatura.ranking.rank import rank
from velatura.readers import load_clip
from velatura.world import CATALOGUE, edit, make_pair, render

SIZE = 128
EACH = 4
#: What this small CLIP sees best; ranking/DESIGN.md has the figures for all the world's edits.
PLAIN = {
    "portrait": ("background", "hair_colour", "hat", "shirt_colour"),
    "landscape": ("season", "snow", "time"),
    "table": ("cloth_colour", "second_colour", "wall"),
}


def pasted(picture, mask):
    """A whole picture as the layer of an edit within a mask."""
    return Pasted(np.dstack([picture, mask]), "RGBA", (0, 0, SIZE, SIZE))


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


def order(case, wrong, prompt, clip):
    """The places of the exact target and of the wrong pictures, in this order."""
    opaque = np.full((SIZE, SIZE), 255, np.uint8)
    results = [pasted(picture, case.mask) for picture in (case.target, *wrong)]
    on = scene(np.dstack([case.source, opaque]), case.mask, model_side=SIZE)
    return rank(on, results, prompt, lambda: clip, lambda: None).places


def mean_auc(rows):
    return np.mean([auc(values, [True] + [False] * (len(values) - 1)) for values in rows])


@pytest.fixture(scope="module")
def clip():
    return load_clip()


@pytest.fixture(scope="module")
def cases():
    return [
        drawn(kind, attribute, number)
        for kind, attributes in PLAIN.items()
        for attribute in attributes
        for number in range(EACH)
    ]


def test_what_was_asked_for_comes_before_what_was_not(cases, clip):
    rows = [order(case, wrong, case.target_prompt, clip) for case, wrong in cases]
    asked = mean_auc([[place.scores["prompt"] for place in places] for places in rows])
    score = mean_auc([[place.score for place in places] for places in rows])
    assert min(asked, score) >= 0.75


def test_by_the_prompt_of_the_source_the_order_is_the_other_way_round(cases, clip):
    rows = [order(case, wrong[:1], case.source_prompt, clip) for case, wrong in cases[::2]]
    back = mean_auc([[place.scores["prompt"] for place in places] for places in rows])
    assert back <= 0.3
