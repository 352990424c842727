"""Find sliders, as a person asks for it: a sheet over the selection, dials on the shelf, refusals."""

from __future__ import annotations

import numpy as np
import pytest

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from tests.tiny import tiny_clip
from tests.tiny_styles import tiny_styles
from velatura.cache.cache import Cache
from velatura.generators.styles import STYLE
from velatura.methods.base import Cancelled
from velatura.methods.execute import execute
from velatura.methods.registry import registry
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura.shelf import Shelf
from velatura_protocol.errors import VelaturaError

MASK = box(80, 100, (10, 70), (20, 90))
LETTERS = ", ".join("abcdefghijkl")  # the tiny CLIP reads letters
ASKED = {"place": "selection", "words": LETTERS, "count": 3, "faces": 64}


@pytest.fixture(scope="module")
def styles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("styles")
    companions = {"clip": str(tiny_clip(folder / "clip"))}
    path = str(tiny_styles(folder / "styles"))
    return ModelStore([ModelEntry("styles", "Styles", "style", path, 32, companions, generator=STYLE)])


def ask(**parameters):
    source = picture(80, 100, dtype="u8")
    return Edit(source, MASK, method="face-discover", prompt="", parameters=ASKED | parameters)


def run(asked, styles, hooks=None, cache=None, shelf=None):
    return execute(asked.request, asked.blobs.__getitem__, styles, hooks or Recorded(), cache, shelf=shelf)


def test_the_sliders_are_shown_and_kept_for_the_model(styles, tmp_path):
    shelf = tmp_path / "shelf"
    (layer,) = run(ask(), styles, shelf=shelf)
    assert layer.raster["rect"] == [20, 10, 70, 60] and layer.title == "Sliders" and layer.note
    entries = Shelf(shelf).entries(styles.get().digest)
    assert len(entries) == 3
    letters = [entry.recipe["word"] for entry in entries]
    assert len(set(letters)) == 3 and set(letters) <= set("abcdefghijkl")
    assert [entry.title for entry in entries] == letters
    Shelf(shelf).rename(entries[0].id, "Blue shirt")  # the guess was wrong
    run(ask(), styles, shelf=shelf)
    again = {entry.id: entry.title for entry in Shelf(shelf).entries()}
    assert again == {entry.id: entry.title for entry in entries} | {entries[0].id: "Blue shirt"}


def test_nothing_is_kept_unless_it_should_be(styles, tmp_path):
    (layer,) = run(ask(keep=False), styles, shelf=tmp_path / "shelf")
    assert Shelf(tmp_path / "shelf").entries() == []
    (again,) = run(ask(keep=False, amount=2.0), styles)
    assert again.data != layer.data


def test_the_sheet_has_a_face_for_each_slider_and_one_as_it_is(styles, tmp_path):
    """Two columns of two rows: the first face does not change with the amount, the others do."""
    made = [pixels(run(ask(keep=False, amount=amount), styles)[0]).astype(int) for amount in (0.0, 3.0)]
    side, below = 26, 4
    tiles = [
        [one[y : y + side, x : x + side, :3] for y in (0, side + below) for x in (0, side)] for one in made
    ]
    assert np.array_equal(tiles[0][0], tiles[1][0])
    assert all(np.array_equal(tile, tiles[0][0]) for tile in tiles[0])
    assert all(not np.array_equal(a, b) for a, b in zip(tiles[0][1:], tiles[1][1:], strict=True))


def test_a_model_is_looked_at_once(styles):
    kept, first, second = Cache(memory=1 << 28), Recorded(), Recorded()
    run(ask(keep=False), styles, first, kept)
    run(ask(keep=False, amount=2.0), styles, second, kept)
    stage = "Looking at many faces"
    assert first.during.count(stage) > 3 and second.during.count(stage) == 1
    assert first.fractions == sorted(first.fractions)


def test_a_cancelled_look_goes_on_where_it_was(styles):
    kept = Cache(memory=1 << 28)
    with pytest.raises(Cancelled):
        run(ask(keep=False), styles, Recorded(cancel_after=2), kept)
    hooks = Recorded()
    resumed = run(ask(keep=False), styles, hooks, kept)[0].data
    assert hooks.during.count("Looking at many faces") < 5
    assert resumed == run(ask(keep=False), styles)[0].data


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        (ask(words="old, young"), "at least 3 words to name 3 sliders"),
        (ask(words="older, younger, man, woman, hat, cap"), "knows 0 of these only"),
        (ask(), "Nothing can be kept here"),
    ],
)
def test_what_cannot_be_named_or_kept_is_refused(asked, sentence, styles):
    with pytest.raises(VelaturaError, match=sentence) as refused:
        run(asked, styles, Recorded())
    assert refused.value.code == "bad-request"


def test_it_varies_with_no_seed():
    method = registry()["face-discover"]
    assert not method.varies(method.Parameters()) and not method.drafts
