"""Edits of a face with the generator that ships: what is asked for is there, the rest of a layer stays."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
import torch

from tests.methods.requests import Edit, Recorded, pixels
from velatura.bundles import BUNDLES
from velatura.cache.cache import Cache
from velatura.methods.execute import execute
from velatura.models.catalogue import EMBEDDED_FACE_ID, entries
from velatura.models.store import ModelStore
from velatura.shelf import Shelf
from velatura.shelf.listing import SHIPPED
from velatura.stylespace import palette
from velatura_lab.readers import load_judge
from velatura_lab.training.portraits import portrait_of
from velatura_lab.world import render
from velatura_lab.world.portrait.scene import ATTRIBUTES, ELEMENTS

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SEED = 31  # of portraits that no training has seen
HERE = {"place": "selection"}


class Studio:
    """Runs methods as the daemon does, with what it keeps between jobs."""

    def __init__(self, folder):
        self.models = ModelStore(entries(folder))
        self.shelf = folder / "shelf"
        self.cache = Cache(memory=2**28)
        shipped = Shelf(None, [BUNDLES / EMBEDDED_FACE_ID / SHIPPED])
        self.dials = {entry.title: entry.id for entry in shipped.entries()}

    def run(self, method, source, mask, parameters, rasters=None, prompt=""):
        model = {"id": EMBEDDED_FACE_ID, "digest": ""}
        edit = Edit(
            source, mask, channels="RGB", method=method, prompt=prompt, model=model, parameters=parameters
        )
        for name, given in (rasters or {}).items():
            edit.request["inputs"][name] = edit._raster(given, "RGBA", "sRGB", (0, 0))
        (layer,) = execute(
            edit.request, edit.blobs.__getitem__, self.models, Recorded(), self.cache, shelf=self.shelf
        )
        return layer

    def turned(self, source, *dials, mask=None, **parameters):
        """The layer [h, w, 3] with sliders (title, amount)."""
        chosen = [{"dial": self.dials[title], "amount": amount} for title, amount in dials]
        mask = whole(source) if mask is None else mask
        return over(source, self.run("face-dials", source, mask, HERE | {"dials": chosen} | parameters))


def whole(source):
    return np.full(source.shape[:2], 255, np.uint8)


def over(source, layer):
    """A result laid over its layer."""
    x, y, w, h = layer.raster["rect"]
    out, rgba = source.astype(float), pixels(layer).astype(float)
    alpha = rgba[..., 3:] / 255.0
    out[y : y + h, x : x + w] += alpha * (rgba[..., :3] - out[y : y + h, x : x + w])
    return np.rint(out).astype(np.uint8)


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    return Studio(tmp_path_factory.mktemp("state"))


@pytest.fixture(scope="module")
def judge():
    return load_judge()


@cache
def scene(index):
    return portrait_of(SEED, index, True)


@cache
def drawn(index, side=128):
    return np.ascontiguousarray(render(scene(index), side).to_bytes())


def chosen(count, fits):
    """The first portraits that an edit makes sense for."""
    return [i for i in range(200) if fits(scene(i))][:count]


def read(judge, *pictures):
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255.0
    return [reading.values for reading in judge.read(images)]


def degree(judge, pictures, name):
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2).float() / 255.0
    with torch.inference_mode():
        return judge.degree(images, "portrait", name).numpy()


#: Slider -> portraits that it makes sense for, and whether readings before and after show it.
ASKED = {
    "Beard": (lambda s: s.person == "man" and not s.beard, lambda b, a: a["beard"]),
    "Glasses": (lambda s: s.glasses == "none", lambda b, a: a["glasses"] == "glasses"),
    "Smile": (lambda s: not s.smile, lambda b, a: a["smile"]),
    "Age": (lambda s: s.age < 0.4, lambda b, a: a["age"] > b["age"] + 0.2),
    "Long hair": (
        lambda s: s.hair_style == "short" and s.hat == "none",
        lambda b, a: a["hair_style"] == "long",
    ),
    "Hat": (lambda s: s.hat == "none", lambda b, a: a["hat"] != "none"),
}
#: What a slider may change with it.
WITH = {
    "Beard": ("beard", "beard_length", "person"),
    "Glasses": ("glasses", "glasses_size"),
    "Smile": ("smile", "smile_width"),
    "Age": ("age",),
    "Long hair": ("hair_style", "hair_length"),
    "Hat": ("hat", "hat_colour"),
}
EACH = 2  # portraits a slider


def same(name, before, after):
    value = before[name]
    return abs(after[name] - value) <= 1.0 / 3.0 if isinstance(value, float) else after[name] == value


def test_each_slider_shows_what_it_says_and_keeps_the_rest(studio, judge):
    shown, kept = {}, []
    for title, (fits, asked) in ASKED.items():
        indices = chosen(EACH, fits)
        edited = [studio.turned(drawn(i), (title, 100.0)) for i in indices]
        before, after = (read(judge, *pictures) for pictures in ([drawn(i) for i in indices], edited))
        shown[title] = sum(asked(b, a) for b, a in zip(before, after, strict=True))
        for i, b, a in zip(indices, before, after, strict=True):
            names = [n for n, one in ATTRIBUTES.items() if n not in WITH[title] and one.applies(scene(i))]
            kept += [same(name, b, a) for name in names]
    assert all(count >= EACH - 1 for count in shown.values()), shown
    assert sum(shown.values()) >= len(ASKED) * EACH - 2, shown
    assert np.mean(kept) >= 0.9


@pytest.mark.parametrize(
    ("title", "name", "fits"),
    [
        ("Age", "age", lambda s: s.age < 0.3),
        ("Smile", "smile_width", lambda s: s.smile and s.smile_width < 0.4),
    ],
)
def test_the_degree_rises_with_the_slider_and_at_0_nothing_changes(title, name, fits, studio, judge):
    (index,) = chosen(1, fits)
    amounts = (0.0, 20.0, 40.0, 60.0, 80.0, 100.0)
    turned = [studio.turned(drawn(index), (title, amount)) for amount in amounts]
    assert np.array_equal(turned[0], drawn(index))
    degrees = degree(judge, turned, name)
    ranks = degrees.argsort().argsort()
    assert np.corrcoef(ranks, np.arange(len(amounts)))[0, 1] >= 0.9
    assert degrees[-1] > degrees[0] + 0.2


def test_two_sliders_commute(studio):
    (index,) = chosen(1, lambda s: s.person == "man" and not s.beard and s.glasses == "none")
    source = drawn(index)
    both = studio.turned(source, ("Beard", 100.0), ("Glasses", 100.0)).astype(float)
    other = studio.turned(source, ("Glasses", 100.0), ("Beard", 100.0)).astype(float)
    assert np.abs(both - other).max() <= 1.0
    after = studio.turned(studio.turned(source, ("Beard", 100.0)), ("Glasses", 100.0)).astype(float)
    assert np.abs(both - after).mean() < 5.0 < np.abs(both - source).mean() + 4.0


def test_a_hat_in_a_large_layer_shows_no_hair_through_it(studio):
    """What stays of the layer's fine detail where the hat is."""
    (index,) = chosen(1, lambda s: s.hat == "none" and s.hair_style in ("long", "curly"))
    source = drawn(index, 512)
    edited = studio.turned(source, ("Hat", 100.0)).astype(float)
    exact = render(scene(index), 512)
    hair = exact.masks[ELEMENTS.index("hair")] > 0.99
    top = np.flatnonzero(hair.any(1))[0]
    hair[top + 30 :] = False  # the crown, under the hat
    hair[: top + 8] = False

    def detail(picture):
        blurred = torch.nn.functional.avg_pool2d(
            torch.from_numpy(picture.astype(float)).permute(2, 0, 1)[None], 9, 1, 4
        )
        return (picture - blurred[0].permute(1, 2, 0).numpy())[hair]

    before, after = detail(source), detail(edited)
    assert (before * after).sum() / (before**2).sum() < 0.35


def test_a_face_in_a_part_of_a_layer_is_found_and_the_rest_keeps_its_bytes(studio, judge):
    (index,) = chosen(1, lambda s: s.person == "man" and not s.beard and s.glasses == "glasses")
    y, x = np.mgrid[:224, :320]
    source = np.stack([90 + y // 4, 120 + 0 * y, 150 - x // 8], -1).astype(np.uint8)
    left, top, side = 150, 60, 150
    source[top : top + side, left : left + side] = drawn(index, side)
    edited = studio.turned(source, ("Beard", 100.0), place="found")
    inside = edited[top : top + side, left : left + side]
    assert read(judge, inside)[0]["beard"]
    changed = np.argwhere((edited != source).any(-1))
    assert (changed.min(0) >= (top - 25, left - 25)).all()
    assert np.array_equal(edited[:, : left - 25], source[:, : left - 25])


def test_a_repainted_part_appears_and_the_rest_stays(studio, judge):
    """The world's own change of the parts: a beard."""
    (index,) = chosen(1, lambda s: s.person == "man" and not s.beard and s.hat == "none")
    source, mask = drawn(index), whole(drawn(index))
    parts = pixels(studio.run("face-parts", source, mask, HERE)).copy()
    wanted = render(replace(scene(index), beard=True, beard_length=0.6), 128).masks
    beard = wanted.argmax(0) == ELEMENTS.index("beard")
    names = studio.models.get(EMBEDDED_FACE_ID).parts
    colour = palette.colours(names)[names.index("beard")]
    parts[beard, :3] = (colour >> 16, colour >> 8 & 255, colour & 255)
    layer = studio.run("editgan", source, mask, HERE | {"steps": 15}, {"parts": parts})
    edited = over(source, layer)
    assert read(judge, edited)[0]["beard"]
    far = torch.nn.functional.max_pool2d(torch.from_numpy(beard)[None].float(), 33, 1, 16)[0].numpy() == 0
    assert np.array_equal(edited[far], source[far])
    assert np.abs(edited.astype(float) - source)[beard].mean() > 20.0
