"""LanPaint through `execute`: the layer's own bytes outside, variations, drafts, the background replaced."""

from __future__ import annotations

import numpy as np

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from velatura.methods.execute import execute
from velatura.methods.registry import registry

MASK = box(64, 64, (16, 48), (16, 48))


def results(models, method="lanpaint", mask=MASK, variations=1, hooks=None, **parameters):
    asked = Edit(
        picture(64, 64),
        mask,
        method=method,
        variations=variations,
        parameters={"steps": 4, **parameters},
    )
    return execute(asked.request, asked.blobs.__getitem__, models, hooks or Recorded())


def test_outside_of_the_selection_nothing_is_touched(models):
    (layer,) = results(models, thinking=2)
    rgba, (x, y, w, h) = pixels(layer), layer.raster["rect"]
    outside = MASK[y : y + h, x : x + w] == 0
    assert not rgba[outside][:, 3].any() and rgba[~outside][:, 3].all()
    assert np.ptp(rgba[~outside][:, :3].astype(int)) > 0


def test_second_thoughts_change_the_new_part_and_are_reported_as_steps(models):
    hooks = Recorded()
    (thought,) = results(models, thinking=2, hooks=hooks)
    (blended,) = results(models, thinking=0)
    assert not np.array_equal(pixels(thought), pixels(blended))
    assert hooks.steps == [(i + 1, 4) for i in range(4)]


def test_a_variation_is_the_same_in_any_batch(models):
    two = results(models, thinking=2, variations=2)
    (one,) = results(models, thinking=2)
    assert one.data in [layer.data for layer in two] and two[0].data != two[1].data


def test_without_second_thoughts_a_whole_layer_is_plain_noise_and_denoise(models):
    (ours,) = results(models, mask=None, thinking=0, strength=0.6, sampler="dpmpp_2m")
    (plain,) = results(models, "sdedit", mask=None, strength=0.6)
    assert np.array_equal(pixels(ours), pixels(plain))


def test_the_background_is_what_changes_if_asked(models):
    method = registry()["lanpaint"]
    assert method.inverts(method.Parameters(change="rest")) and not method.inverts(method.Parameters())
