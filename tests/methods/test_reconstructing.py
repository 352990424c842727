"""Blended Latent Diffusion as a request: how the background is reconstructed, and where it edits."""

import numpy as np
import pytest

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from velatura.cache.cache import Cache
from velatura.methods.base import Cancelled
from velatura.methods.execute import execute
from velatura_protocol.errors import VelaturaError

BLD = "blended-latent-diffusion"
MASK = box(80, 100, (30, 60), (20, 70))
FITTED = {"steps": 4, "fit_steps": 3, "fit_rate": 0.001}


def edit(way, mask=MASK, **more):
    values = FITTED | {"reconstruction": way} | more.pop("parameters", {})
    return Edit(picture(80, 100), mask, method=BLD, parameters=values, **more)


@pytest.mark.parametrize("way", ["none", "band", "poisson", "latents", "decoder"])
def test_every_way_keeps_the_selection_as_alpha_and_runs_again_to_the_bytes(models, way):
    hooks = Recorded()
    first, second = edit(way, variations=2).run(models, hooks)
    assert first.raster["rect"] == [20, 30, 50, 30]
    assert (pixels(first)[..., 3] == 255).all()
    (alone,) = edit(way, seed=8).run(models)
    assert alone.data == second.data != first.data
    (as_before,) = edit("detail").run(models)
    assert as_before.data != first.data
    assert hooks.fractions == sorted(hooks.fractions)
    fitted = [step for stage, step in zip(hooks.during, hooks.steps, strict=True) if stage.startswith("Join")]
    assert fitted == (2 * [(1, 3), (2, 3), (3, 3)] if way in ("latents", "decoder") else [])


@pytest.mark.parametrize("way", ["latents", "decoder"])
def test_a_fit_is_kept_small_resumed_and_the_same_from_memory_disk_and_anew(models, tmp_path, way):
    asked = edit(way)

    def run(cache, cancel_after=None):
        hooks = Recorded(cancel_after)
        (result,) = execute(asked.request, asked.blobs.__getitem__, models, hooks, cache)
        return result.data, hooks.during.count("Joining to the layer")

    plain, steps = run(Cache())
    assert steps == 3
    cache = Cache(tmp_path, memory=2**24, disk=2**24)
    with pytest.raises(Cancelled):
        run(cache, cancel_after=5)  # in the second step of the fit
    assert run(cache) == (plain, 1)
    assert run(cache) == (plain, 0)
    assert run(Cache(tmp_path, memory=2**24, disk=2**24)) == (plain, 0)
    assert cache.nbytes <= 4 * 3 * 64 * 64 * 2  # pictures, and no weights


def test_a_rate_that_breaks_the_decoder_is_refused(models):
    fast = {"fit_rate": 0.1}
    with pytest.raises(VelaturaError, match=r"set 0\.001 or less"):
        edit("decoder", parameters=fast).run(models)
    assert edit("latents", parameters=fast).run(models)


def test_a_draft_is_not_fitted(models):
    hooks = Recorded()
    edit("decoder", draft=True).run(models, hooks)
    assert "Joining to the layer" not in hooks.during and hooks.previews


def test_everything_else_changes_and_the_selection_stays(models):
    mask = MASK.copy()
    mask[30:60, 20:30] = 100
    (rest,) = edit("detail", mask, parameters={"change": "rest"}).run(models)
    assert rest.raster["rect"] == [0, 0, 100, 80]
    assert np.array_equal(pixels(rest)[..., 3], 255 - mask)
    assert (pixels(rest)[mask == 255] == 0).all()


def test_there_is_something_to_stay_and_something_to_change(models):
    with pytest.raises(VelaturaError, match="Select what should stay") as refused:
        edit("detail", None, parameters={"change": "rest"}).run(models)
    assert refused.value.code == "empty-mask"
    whole = np.full((80, 100), 255, np.uint8)
    with pytest.raises(VelaturaError, match="covers the whole layer") as refused:
        edit("detail", whole, parameters={"change": "rest"}).run(models)
    assert refused.value.code == "empty-mask"


def test_a_scribble_leads_the_result_and_leaves_the_layer_alone(models):
    strokes = np.zeros((80, 100, 4), np.uint8)
    strokes[:, 40:50] = (30, 20, 220, 255)
    plain, drawn = edit("detail"), edit("detail")
    drawn.request["inputs"]["scribble"] = drawn._raster(strokes, "RGBA", "sRGB", (0, 0))
    (a,), (b,) = plain.run(models), drawn.run(models)
    assert a.raster["rect"] == b.raster["rect"] and a.data != b.data
    inside = np.zeros_like(strokes)
    inside[30:60] = strokes[30:60]
    within = edit("detail")
    within.request["inputs"]["scribble"] = within._raster(inside, "RGBA", "sRGB", (0, 0))
    assert within.run(models)[0].data == b.data  # strokes beside the selection count for nothing


def test_a_scribble_wholly_outside_the_selection_is_refused(models):
    strokes = np.zeros((80, 100, 4), np.uint8)
    strokes[:20, :60] = (30, 20, 220, 255)
    beside = edit("detail")
    beside.request["inputs"]["scribble"] = beside._raster(strokes, "RGBA", "sRGB", (0, 0))
    with pytest.raises(VelaturaError, match="lies outside the selection; paint it inside") as refused:
        beside.run(models)
    assert refused.value.code == "empty-layer"
    beside.request["parameters"]["change"] = "rest"  # then everything around the selection changes
    assert beside.run(models)


def test_edits_after_each_other_leave_all_that_lies_outside_each_selection(models):
    """An editing session (appendix A.1): each edit is of the picture that the last one left."""
    current = picture(80, 100)[..., :3].copy()
    source, seen = current.copy(), np.zeros((80, 100), bool)
    for i, at in enumerate([((5, 30), (5, 40)), ((20, 60), (30, 80)), ((50, 78), (10, 60))]):
        mask = box(80, 100, *at)
        asked = Edit(current, mask, channels="RGB", method=BLD, seed=i, prompt="a red hat")
        (result,) = asked.run(models)
        x, y, width, height = result.raster["rect"]
        rgba = pixels(result)
        assert (rgba[..., 3] == 255).all()
        after = current.copy()
        after[y : y + height, x : x + width] = rgba[..., :3]
        outside = mask == 0
        assert np.array_equal(after[outside], current[outside])
        assert (after != current).any()
        seen |= ~outside
        current = after
    assert np.array_equal(current[~seen], source[~seen])
