"""Parts of a face as paint, repainted, and followed: as a person asks for it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.methods.requests import DTYPES, Edit, Recorded, box, picture, pixels
from tests.tiny_styles import PARTS, tiny_styles
from velatura.cache.cache import Cache
from velatura.generators.styles import STYLE
from velatura.methods.base import Cancelled
from velatura.methods.execute import execute
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura.shelf import Shelf
from velatura.stylespace import palette
from velatura_protocol.errors import VelaturaError

COLOURS = np.array([[c >> 16, c >> 8 & 255, c & 255] for c in palette.colours(PARTS)], np.uint8)
HERE = {"place": "selection"}
QUICK = {**HERE, "steps": 3}


@pytest.fixture(scope="module")
def styles(tmp_path_factory):
    folder = tmp_path_factory.mktemp("styles")
    return ModelStore(
        [ModelEntry("styles", "Styles", "style", str(tiny_styles(folder)), 32, generator=STYLE)]
    )


def run(edit, styles, hooks=None, cache=None, shelf=None):
    return execute(edit.request, edit.blobs.__getitem__, styles, hooks or Recorded(), cache, shelf=shelf)


def parts_of(source, styles, mask=None, **more):
    edit = Edit(source, mask, method="face-parts", prompt="", parameters=HERE, **more)
    (layer,) = run(edit, styles)
    return layer


def follow(source, parts, mask=None, *, rect=None, **parameters):
    parameters = QUICK | parameters
    edit = Edit(source, mask, method="editgan", prompt="", parameters=parameters)
    edit.request["inputs"]["parts"] = edit._raster(parts, "RGBA", "sRGB", rect or (0, 0))
    return edit


def as_bytes(layer):
    """A layer's pixels in 8 bits."""
    native = pixels(layer)
    most = 1.0 if native.dtype.kind == "f" else np.iinfo(native.dtype).max
    return np.rint(native.astype(np.float64) / most * 255).astype(np.uint8)


def labels_in(image):
    """The part at each pixel of flat colours [h, w, 3 or 4]; fails for a colour that is no part's."""
    same = (image[..., None, :3] == COLOURS).all(-1)
    assert same.any(-1).all()
    return same.argmax(-1)


def repainted(parts, rows, columns):
    """The painted parts with another part in a rectangle."""
    out = parts.copy()
    old = labels_in(parts[rows, columns])
    new = (int(np.bincount(old.ravel()).argmax()) + 1) % len(PARTS)
    out[rows, columns, :3] = COLOURS[new]
    return out


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("height", "width"), [(32, 32), (61, 45), (150, 203)])
def test_parts_have_the_exact_colours_of_the_palette_at_any_size_and_depth(height, width, dtype, styles):
    layer = parts_of(picture(height, width, dtype=dtype), styles)
    image = as_bytes(layer)
    seen = image[..., 3] > 0
    assert set(np.unique(image[..., 3])) <= {0, 255}
    assert np.array_equal(image[..., 3] > 0, np.broadcast_to(seen, image.shape[:2]))
    assert len(np.unique(labels_in(image[seen]))) > 1
    assert (image[~seen] == 0).all()
    assert seen.sum() >= min(height, width) ** 2 * 0.9


def test_parts_lie_within_the_frame_of_the_face(styles):
    layer = parts_of(picture(100, 120), styles, box(100, 120, (10, 60), (30, 80)))
    assert tuple(layer.raster["rect"]) == (30, 10, 50, 50)
    assert (as_bytes(layer)[..., 3] == 255).all()


def test_the_layer_and_the_note_name_the_parts_with_their_colours(styles):
    layer = parts_of(picture(), styles)
    assert layer.title == "background grey, face blue, hair orange, hat red"
    assert layer.note.startswith("Background grey, face blue, hair orange, hat red. Paint with these colours")


def test_a_face_follows_its_repainted_parts_inside_the_selection(styles):
    source = picture(90, 70, dtype="u16")
    parts = as_bytes(parts_of(source, styles))
    paint = repainted(parts, slice(20, 50), slice(20, 40))
    (layer,) = run(follow(source, paint), styles)
    assert not np.array_equal(pixels(layer), source)
    (nothing,) = run(follow(source, paint, amount=0.0), styles)
    assert np.array_equal(pixels(nothing), source)
    (part,) = run(follow(source, paint, box(90, 70, (0, 64), (0, 64))), styles)
    assert tuple(part.raster["rect"]) == (0, 0, 64, 64)


def test_paint_may_be_transparent_and_lie_elsewhere(styles):
    """Only the changed piece is sent, as a layer of its own with nothing around it."""
    source = picture(64, 64)
    parts = as_bytes(parts_of(source, styles))
    paint = repainted(parts, slice(20, 50), slice(20, 40))
    whole = run(follow(source, paint), styles)[0]
    paint[..., 3] = box(64, 64, (20, 50), (20, 40))
    alone = run(follow(source, paint[16:60, 12:56], rect=(12, 16)), styles)[0]
    assert alone.data == whole.data


def test_soft_strokes_are_read_as_the_parts_on_both_sides(styles):
    source = picture(96, 96)
    parts = as_bytes(parts_of(source, styles))
    paint = repainted(parts, slice(30, 60), slice(30, 60))
    soft = paint.astype(np.float64)
    inner = soft[29:61, 29:61, :3]
    inner[1:-1, 1:-1] = (inner[:-2, 1:-1] + 2 * inner[1:-1, 1:-1] + inner[2:, 1:-1]) / 4
    hard, softened = (
        run(follow(source, paint), styles)[0],
        run(follow(source, soft.astype(np.uint8)), styles)[0],
    )
    difference = np.abs(pixels(hard).astype(int) - pixels(softened)).mean()
    assert difference < 0.5 * np.abs(pixels(hard).astype(int) - source).mean()


@pytest.mark.parametrize(
    ("paint", "sentence"),
    [
        (lambda parts: parts, "Nothing of the face differs"),
        (lambda parts: picture(64, 64, seed=5), "has colours of no part"),
        (lambda parts: repainted(parts, slice(3, 4), slice(3, 4)), "Nothing of the face differs"),
    ],
    ids=["as it was", "a photograph", "a dot"],
)
def test_paint_that_says_nothing_is_refused(paint, sentence, styles):
    source = picture(64, 64)
    parts = as_bytes(parts_of(source, styles))
    with pytest.raises(VelaturaError, match=sentence) as refused:
        run(follow(source, paint(parts)), styles)
    assert refused.value.code == "bad-request"


def test_a_request_without_paint_is_refused(styles):
    edit = Edit(picture(), method="editgan", prompt="", parameters=QUICK)
    with pytest.raises(VelaturaError, match="needs “Repainted parts”; choose a layer for it"):
        run(edit, styles)


def test_an_edit_is_kept_and_resumed_to_the_same_bytes(styles):
    source = picture(64, 64)
    paint = repainted(as_bytes(parts_of(source, styles)), slice(20, 50), slice(20, 40))
    expected = run(follow(source, paint, steps=6), styles)[0].data
    cache, cut = Cache(memory=1 << 26), Recorded(cancel_after=4)
    with pytest.raises(Cancelled):
        run(follow(source, paint, steps=6), styles, cut, cache)
    assert cut.during[-1] == "Following the paint"
    rest = Recorded()
    assert run(follow(source, paint, steps=6), styles, rest, cache)[0].data == expected
    assert 0 < rest.during.count("Following the paint") < 6
    assert rest.previews or cut.previews
    again = Recorded()
    louder = run(follow(source, paint, steps=6, amount=150.0), styles, again, cache)[0]
    assert "Following the paint" not in again.during and louder.data != expected


def test_a_change_is_kept_as_a_slider_whatever_its_amount(styles, tmp_path):
    source = picture(64, 64)
    paint = repainted(as_bytes(parts_of(source, styles)), slice(20, 50), slice(20, 40))
    run(follow(source, paint, keep_as=" Longer  hair "), styles, shelf=tmp_path)
    run(follow(source, paint, keep_as="Longer hair", amount=50.0), styles, shelf=tmp_path)
    run(follow(source, paint), styles, shelf=tmp_path)
    shelf = Shelf(tmp_path)
    (entry,) = shelf.entries()
    assert (entry.title, entry.kind) == ("Longer hair", "vector")
    assert entry.generator == styles.get("styles").digest
    (ws,) = shelf.load(entry.id).tensors.values()
    assert ws.shape == (styles.get("styles").num_ws, styles.get("styles").w_dim) and ws.abs().max() > 0


def test_a_draft_keeps_nothing_on_the_shelf(styles, tmp_path):
    source = picture(64, 64)
    paint = repainted(as_bytes(parts_of(source, styles)), slice(20, 50), slice(20, 40))
    edit, hooks = follow(source, paint, keep_as="x"), Recorded()
    edit.request["draft"] = True
    assert run(edit, styles, hooks, shelf=tmp_path) == []
    assert hooks.previews and not Shelf(tmp_path).entries()


def test_a_kept_slider_that_gets_another_name_says_so(styles, tmp_path):
    source = picture(64, 64)
    paint = repainted(as_bytes(parts_of(source, styles)), slice(20, 50), slice(20, 40))
    first = run(follow(source, paint, keep_as="Hair"), styles, shelf=tmp_path)[0]
    again = run(follow(source, paint, keep_as=" Hair "), styles, shelf=tmp_path)[0]
    other = run(follow(source, paint, keep_as="Long hair"), styles, shelf=tmp_path)[0]
    assert "slider" not in first.note and "slider" not in again.note
    assert "“Hair” does just this; it is called “Long hair” now" in other.note
    more = repainted(as_bytes(parts_of(source, styles)), slice(10, 30), slice(20, 40))
    third = run(follow(source, more, keep_as="long hair"), styles, shelf=tmp_path)[0]
    assert "kept as “long hair (2)”" in third.note
    assert [entry.title for entry in Shelf(tmp_path).entries()] == ["Long hair", "long hair (2)"]
