"""The part of a layer that an edit reads: its rule, its pixels, and what a recipe tells of the whole."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura_protocol import crops
from velatura_protocol.catalogue import Catalogue, MethodInfo, ModelInfo
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest
from velatura_protocol.rasters import Pixels, Raster
from velatura_protocol.requests import Edit
from velatura_protocol.schema import Field

CONTEXT = Field("context", "number", "", "", 1.0, minimum=0.0, maximum=4.0, context=True)
CHANGE = Field(
    "change", "enum", "", "", "selection", choices=(("selection", "S"), ("rest", "R")), rest="rest"
)
METHOD = MethodInfo(
    "fill", 1, "Fill", "", "", {"source": "required", "mask": "optional"}, "layer", 4, (CONTEXT, CHANGE),
    crops=True,
)  # fmt: skip
KNOWN = Catalogue((METHOD,), (ModelInfo("m", "M", size=16),))
EDIT = Edit("fill", model="m")
DTYPES = {"u8": "<u1", "u16": "<u2", "f16": "<f2", "f32": "<f4"}


def layer(width=100, height=80, origin=(5, -3), channels="RGBA"):
    data = np.random.default_rng(0).integers(0, 256, (height, width, len(channels)), np.uint8)
    return Pixels(data.tobytes(), (*origin, width, height), channels, "u8", "sRGB", "in.png"), data


def selection(x, y, width, height, around=(100, 80), origin=(5, -3)):
    values = np.zeros(around[::-1], np.uint8)
    values[y : y + height, x : x + width] = 7
    return Pixels(values.tobytes(), (*origin, *around), "A", "u8", "")


@given(st.data())
def test_the_rule_is_that_of_the_specification(data):
    W, H = (data.draw(st.integers(1, 300)) for _ in range(2))
    x, y = data.draw(st.integers(0, W - 1)), data.draw(st.integers(0, H - 1))
    w, h = data.draw(st.integers(1, W - x)), data.draw(st.integers(1, H - y))
    side, c = data.draw(st.integers(1, 200)), data.draw(st.sampled_from([0.0, 0.25, 1.0, 4.0]))
    L = max(max(w, h), min(max(side, math.ceil(max(w, h) * (1 + 2 * c))), W, H))
    l, m = min(L, W), min(L, H)  # noqa: E741 - the specification's letter
    left = min(max(0, math.floor((2 * x + w - l) / 2)), W - l)
    top = min(max(0, math.floor((2 * y + h - m) / 2)), H - m)
    assert crops.seen((x, y, w, h), (W, H), side, c) == (left, top, l, m)
    margin = max(16, round(max(w, h) / 4))
    x0, y0, x1, y1 = (
        min(left, max(0, x - margin)),
        min(top, max(0, y - margin)),
        max(left + l, min(W, x + w + margin)),
        max(top + m, min(H, y + h + margin)),
    )
    assert crops.needed((x, y, w, h), (W, H), side, c) == (x0, y0, x1 - x0, y1 - y0)


@pytest.mark.parametrize("dtype", DTYPES)
@given(seed=st.integers(0, 10_000))
def test_the_bounds_are_those_of_the_values_above_0(dtype, seed):
    rng = np.random.default_rng(seed)
    height, width = rng.integers(1, 12, 2)
    values = rng.integers(1, 256, (height, width)).astype(DTYPES[dtype]) * (rng.random((height, width)) < 0.1)
    if dtype in ("f16", "f32"):  # none of these is selected
        values = np.where(rng.random(values.shape) < 0.2, rng.choice([-0.0, -1.0, np.nan]), values)
    values = values.astype(DTYPES[dtype])
    mask = Pixels(values.tobytes(), (3, -4, int(width), int(height)), "A", dtype, "")
    within = (int(rng.integers(0, 6)), int(rng.integers(-6, 2)), 8, 8)
    inside = np.zeros_like(values, bool)
    y, x = within[1] + 4, within[0] - 3
    inside[max(0, y) : max(0, y + 8), max(0, x) : max(0, x + 8)] = True
    rows, columns = np.nonzero((values > 0) & inside)
    expected = None
    if len(rows):
        x0, y0 = int(columns.min()), int(rows.min())
        expected = (x0 + 3, y0 - 4, int(columns.max()) - x0 + 1, int(rows.max()) - y0 + 1)
    assert crops.bounds_of(mask, within) == expected


def test_a_part_is_sent_and_tells_of_the_whole():
    source, data = layer()
    inputs = crops.to_send(KNOWN, EDIT, {"source": source, "mask": selection(40, 30, 4, 6)})
    part, mask = inputs["source"], inputs["mask"]
    x, y, width, height = part.rect  # 18 pixels of surroundings in all, but 16 around for ranking
    assert part.rect == (45 - 16, 27 - 16, 4 + 32, 6 + 32) and mask.rect == (45, 27, 4, 6)
    assert bytes(part.data) == data[y + 3 : y + 3 + height, x - 5 : x - 5 + width].tobytes()
    assert bytes(mask.data) == bytes([7]) * 24 and mask.whole == source.rect
    raster = Raster.from_wire(part.raster.to_wire())
    assert raster == part.raster and raster.digest == digest(part.data) and raster.layer == "in.png"
    assert (raster.layer_rect, raster.whole_digest) == (source.rect, source.raster.digest)
    assert crops.to_send(KNOWN, EDIT, inputs) == inputs  # once is enough


@pytest.mark.parametrize(
    ("known", "edit"),
    [
        (KNOWN, replace(EDIT, parameters={"change": "rest"})),
        (KNOWN, replace(EDIT, parameters={"context": "much"})),
        (KNOWN, replace(EDIT, method="another")),
        (KNOWN, replace(EDIT, model="another")),
        (replace(KNOWN, methods=(replace(METHOD, crops=False),)), EDIT),  # a daemon before 1.9
        (replace(KNOWN, models=(ModelInfo("m", "M", size=16, is_size_known=False),)), EDIT),
        (replace(KNOWN, models=(ModelInfo("m", "M", lacks=frozenset({"fill"})),)), replace(EDIT, model="")),
    ],
)
def test_the_whole_is_sent_where_the_part_cannot_be_told(known, edit):
    inputs = {"source": layer()[0], "mask": selection(40, 30, 4, 6)}
    assert crops.to_send(known, edit, inputs) == inputs
    assert crops.to_send(KNOWN, EDIT, inputs | {"mask": None})["source"] is inputs["source"]
    nothing = selection(0, 0, 0, 0)
    assert crops.to_send(KNOWN, EDIT, inputs | {"mask": nothing}) == inputs | {"mask": nothing}


def test_a_layer_is_known_by_the_whole_or_by_the_part_that_a_recipe_tells():
    source, data = layer()
    part = crops.part_of(source, (20, 10, 30, 40)).raster
    moved = replace(source, rect=(0, 0, 100, 80))
    blind = replace(part, whole_digest="")
    outside, inside = data.copy(), data.copy()
    outside[0, 0, 0] ^= 1
    inside[20, 20, 0] ^= 1
    for raster, ones in ((part, (True, False, False)), (blind, (True, True, False))):
        for values, expected in zip((data, outside, inside), ones, strict=True):
            assert crops.is_of(raster, replace(moved, data=values.tobytes())) is expected
    assert not crops.is_of(part, layer(99)[0])
    assert crops.is_of(source.raster, moved)


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"whole": [0, 0, 30, 40]}, "bad-layer"),
        ({"whole": [0, 0, 20000, 4000]}, "too-large"),
        ({"whole": "all"}, "bad-request"),
        ({"whole_digest": "blake2b:0"}, "bad-request"),
    ],
)
def test_a_part_that_lies_nowhere_is_refused(changes, code):
    wire = {**crops.part_of(layer()[0], (20, 10, 30, 40)).raster.to_wire(), **changes}
    with pytest.raises(VelaturaError) as refused:
        Raster.from_wire(wire)
    assert refused.value.code == code
