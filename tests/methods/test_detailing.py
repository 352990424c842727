"""Detail: a result that is worked out at the layer's own size, in tiles."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.companions.test_enlarger import compact
from tests.methods.requests import Edit, Recorded, box, picture, pixels
from velatura.canvas.geometry import Box, plan
from velatura.methods import detailing
from velatura.methods.base import Cancelled
from velatura.methods.registry import registry
from velatura.models.store import ModelStore

LAYER, MASK = picture(150, 170, seed=3), box(150, 170, (20, 130), (30, 150))
DETAILED = {"steps": 4, "strength": 0.6, "detail": "detailed"}


@pytest.fixture(scope="module")
def enlarging(entries, tmp_path_factory):
    """The tiny model of 64 pixels with a tiny enlarger."""
    file = tmp_path_factory.mktemp("enlarger") / "x.safetensors"
    compact(file, features=4, convolutions=1)
    tiny = entries[0]
    return ModelStore([replace(tiny, companions={**tiny.companions, "enlarger": str(file)})])


def edit(method="sdedit", **parameters):
    return Edit(LAYER, MASK, method=method, parameters={**DETAILED, **parameters})


def whole(result, layer=LAYER):
    x, y, width, height = result.raster["rect"]
    shown = np.zeros_like(layer)
    shown[y : y + height, x : x + width] = pixels(result)
    return shown


@pytest.mark.parametrize("method", ["sdedit", "blended-latent-diffusion", "replace-named"])
def test_what_is_not_selected_keeps_its_bytes_and_the_rest_is_made_anew(enlarging, method):
    more = {"name": "a cat", "threshold": 0.0} if method == "replace-named" else {}
    hooks = Recorded()
    (result,) = edit(method, **more).run(enlarging, hooks)
    (fast,) = edit(method, **more, detail="fast").run(enlarging)
    assert result.raster["rect"] == fast.raster["rect"]
    shown = whole(result)
    assert (shown[..., 3][MASK == 0] == 0).all()
    assert not np.array_equal(shown[MASK > 0], whole(fast)[MASK > 0])
    assert hooks.fractions == sorted(hooks.fractions) and hooks.fractions[-1] <= 1.0
    (stage,) = {stage for stage in hooks.during if stage.startswith("Adding detail at ")}
    assert "Enlarging" in hooks.during
    size = stage.removeprefix("Adding detail at ")
    assert f"Detail was painted at {size} pixels, the layer's own size." in result.note
    assert "Detail" not in fast.note


def test_a_result_smaller_than_the_layer_says_both_sizes(enlarging, monkeypatch):
    monkeypatch.setattr(detailing, "MOST", 1.5)
    (result,) = edit().run(enlarging)
    assert re.search(r"Detail was painted at \d+ × \d+ pixels; the layer has \d+ × \d+ there\.", result.note)


def test_it_is_shown_before_it_is_refined(enlarging):
    hooks = Recorded()
    edit().run(enlarging, hooks)
    (rect,) = set(map(tuple, hooks.rects[-2:]))
    assert rect[0] <= 30 and rect[1] <= 20 and rect[0] + rect[2] >= 150 and rect[1] + rect[3] >= 130


def test_a_recipe_gives_the_same_bytes_again_and_a_seed_the_same_picture_in_any_batch(enlarging):
    asked = edit()
    asked.request |= {"variations": 2}
    first, second = asked.run(enlarging)
    assert [result.data for result in asked.run(enlarging)] == [first.data, second.data]
    alone = edit()
    alone.request |= {"seed": 8}
    (again,) = alone.run(enlarging)
    np.testing.assert_allclose(whole(again).astype(int), whole(second).astype(int), atol=2)
    assert np.abs(whole(first).astype(int) - whole(second)).max() > 2


@pytest.mark.parametrize("after", [4, 5])
def test_it_stops_while_detail_is_added(enlarging, after):
    hooks = Recorded(cancel_after=after)
    with pytest.raises(Cancelled):
        edit().run(enlarging, hooks)
    assert len(hooks.steps) == after


def test_a_model_without_an_enlarger_adds_its_own_detail(models):
    hooks = Recorded()
    (result,) = edit().run(models, hooks)
    assert "Enlarging" not in hooks.during and any(map(np.any, [whole(result)]))


def test_a_layer_of_the_models_size_needs_none(enlarging):
    small = {"channels": "RGBA", "parameters": {**DETAILED}}
    hooks = Recorded()
    (result,) = Edit(LAYER[:70, :70], None, **small).run(enlarging, hooks)
    small["parameters"]["detail"] = "fast"
    (fast,) = Edit(LAYER[:70, :70], None, **small).run(enlarging)
    assert result.data == fast.data and "Enlarging" not in hooks.during


def test_a_draft_has_none(enlarging):
    asked, hooks = edit(), Recorded()
    asked.request |= {"draft": True}
    assert asked.run(enlarging, hooks) == []
    assert not any("detail" in stage for stage in hooks.during)


def test_only_pictures_of_diffusion_models_are_offered_it():
    offering = [m for m in registry().values() if "detail" in m.Parameters.model_fields]
    assert {"sdedit", "blended-latent-diffusion", "prompt-to-prompt"} <= {method.id for method in offering}
    assert all(m.result == "layer" and m.generator == "diffusion" and not m.flat for m in offering)


@given(st.integers(64, 3000), st.integers(64, 3000), st.data())
def test_the_worked_size_holds_the_selection_and_fits_the_network(height, width, data):
    x0, y0 = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    x1, y1 = data.draw(st.integers(x0 + 1, width)), data.draw(st.integers(y0 + 1, height))
    bounds = Box(x0, y0, x1, y1)
    region = plan(bounds, (height, width), 64, 8, 1.0)
    place = detailing.place_of(bounds, region, 64, 8)
    assert bounds.intersection(place.box) == bounds and place.box.intersection(region.crop) == place.box
    assert place.size[0] % 8 == place.size[1] % 8 == 0
    for size, length in zip(place.size, (place.box.height, place.box.width), strict=True):
        assert size <= length + 8 and size <= detailing.MOST * 64 * 3
        assert size >= min(64, length, 64 * length // max(place.box.height, place.box.width))
