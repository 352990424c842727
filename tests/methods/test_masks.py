"""Methods that give masks: where a mask lies, what bounds it, and what it does not do."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.methods.requests import DTYPES, Edit, Recorded, box, picture, pixels
from tests.more_methods.velatura_examples.shades import Shades
from velatura.canvas.colour import Encoding
from velatura.canvas.geometry import Box, plan
from velatura.canvas.masks import mask_of_layer
from velatura.canvas.region import see
from velatura.canvas.selection import Layer, Selection
from velatura.methods.base import Cancelled
from velatura.methods.registry import registry
from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Raster


@pytest.fixture(autouse=True)
def shades(monkeypatch):
    """The method is there."""
    monkeypatch.setattr("velatura.methods.execute.registry", lambda: {**registry(), "shades": Shades()})


def ramp(height, width, dtype="u8"):
    """A grey picture, dark at the left, that is the same at every scale."""
    grey = np.broadcast_to((np.arange(width) + 0.5)[None, :, None] / width, (height, width, 4)).copy()
    grey[..., 3] = 1.0
    full = np.iinfo(DTYPES[dtype]).max if dtype in ("u8", "u16") else 1
    return (grey * full).astype(DTYPES[dtype])


def edit(source, mask=None, **fields):
    return Edit(source, mask, method="shades", **{"prompt": "a grey, grey cat", "parameters": {}, **fields})


@pytest.mark.parametrize("dtype", DTYPES)
def test_there_is_a_mask_for_each_word_at_the_layers_size(models, dtype):
    job = edit(ramp(70, 150, dtype), origin=(-5, 9))
    results = job.run(models)
    assert [(r.index, r.title, r.kind) for r in results] == [
        (0, "a", "mask"),
        (1, "grey", "mask"),
        (2, "grey", "mask"),
        (3, "cat", "mask"),
    ]
    bright = (np.arange(150) + 0.5) / 150
    for i, result in enumerate(results, 1):
        raster = Raster.from_wire(result.raster)
        assert (raster.rect, raster.channels, raster.dtype) == ((-5, 9, 150, 70), "A", "u8")
        assert raster.profile == "" and raster.nbytes == len(result.data)
        found = pixels(result)[..., 0] / 255
        np.testing.assert_allclose(found, np.broadcast_to(bright**i, found.shape), atol=0.03)
        assert result.place is None and result.note == "" and result.seed == 7
        assert result.recipe == job.request | {
            "model": {"id": "tiny", "digest": models.get().digest},
            "variation": i - 1,
        }


def test_a_selection_bounds_it_softly(models):
    mask = box(80, 100, (30, 60), (20, 70), 200)
    mask[40:50] = 0
    (result,) = edit(np.full((80, 100, 4), 255, np.uint8), mask, prompt="cat").run(models)
    assert np.array_equal(pixels(result)[..., 0], mask)


def test_what_the_model_was_not_shown_is_not_selected(models):
    mask = np.full((9, 9), 255, np.uint8)
    (result,) = edit(np.full((400, 300, 4), 255, np.uint8), mask, prompt="cat", at=(100, 200)).run(models)
    assert result.raster["rect"] == [0, 0, 300, 400]
    assert np.array_equal(np.argwhere(pixels(result)[..., 0]).min(0), [200, 100])
    assert pixels(result).sum() == 81 * 255


def test_where_there_is_no_paint_nothing_is_selected(models):
    """Black paint is seen on white paper, which a method that looks for light finds."""
    source = np.zeros((80, 100, 4), np.uint8)
    source[:, :30, 3], source[:, 30:60, 3], source[:, 60:, 3] = 0, 1, 255
    (result,) = edit(source, prompt="cat").run(models)
    found = pixels(result)[..., 0]
    assert (found[:, :30] == 0).all() and (found[:, 36:54] > 240).all() and (found[:, 66:] < 10).all()


def test_it_neither_ranks_nor_decodes_nor_needs_previews(models, monkeypatch):
    monkeypatch.setattr(type(models.get()), "decode", lambda *_: pytest.fail("it decodes"))
    hooks = Recorded()
    edit(picture()).run(models, hooks)
    assert hooks.steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert hooks.stages[0] == "Loading the model" and hooks.stages[-1] == "Finishing"
    with pytest.raises(Cancelled):
        edit(picture()).run(models, Recorded(cancel_after=2))


def test_it_has_one_variation(models):
    with pytest.raises(VelaturaError) as raised:
        edit(picture(), variations=2).run(models)
    assert raised.value.code == "bad-request"


def test_words_that_are_listed_are_the_masks(models):
    listed = {"words": [{"text": "Grey", "which": 2}, {"text": ""}]}
    assert [r.title for r in edit(picture(), parameters=listed).run(models)] == ["grey"]


@given(
    st.tuples(st.integers(1, 90), st.integers(1, 90)),
    st.integers(0, 2**32 - 1),
    st.sampled_from([0.0, 0.5, 4.0]),
)
def test_any_map_becomes_a_mask_within_the_selection(size, seed, context):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(1, 256, (*size, 4), np.uint8)
    layer = Layer(pixels, Encoding("RGBA", "u8"), (3, -4))
    values = rng.integers(0, 256, size, np.uint8) * (rng.random(size) < 0.2)
    if not values.any():
        values[0, 0] = 9
    rows, columns = np.nonzero(values)
    bounds = Box(columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)
    selection = Selection(values, layer.box, bounds)
    region = plan(bounds, size, 64, 8, context)
    whole = mask_of_layer(layer, selection, region, np.ones(region.outer, np.float32))
    assert np.array_equal(whole, values)
    shown = see(layer, selection, region).image.mean(axis=2)
    assert (mask_of_layer(layer, selection, region, shown) <= values).all()
