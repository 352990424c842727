"""Drafts: nothing comes back, and the last preview is what an edit would have given."""

import numpy as np
import pytest
import torch

from tests.methods.requests import Edit, Recorded, box, picture
from tests.more_methods.velatura_examples.shades import Shades
from velatura.methods.base import Cancelled
from velatura.methods.registry import describe, registry
from velatura_protocol.errors import VelaturaError

MASK = box(80, 100, (30, 60), (20, 70))
PARAMETERS = {"steps": 4, "context": 4.0}  # so that the whole layer is shown


def test_a_preview_says_which_part_of_the_document_it_shows(models):
    hooks = Recorded()
    mask = box(200, 300, (90, 110), (140, 170))
    draft(picture(200, 300), mask, parameters={"steps": 4, "context": 0.5}, origin=(-7, 20), at=(-7, 20)).run(
        models, hooks
    )
    assert len(set(hooks.rects)) == 1
    x, y, width, height = hooks.rects[0]
    assert (width, height) == (64, 64)  # the model's, which the selection is smaller than
    assert hooks.previews[-1][1].shape == (height, width, 3)
    assert x <= 140 - 7 and x + width >= 170 - 7
    assert y <= 90 + 20 and y + height >= 110 + 20


def draft(*arguments, **fields):
    return Edit(*arguments, draft=True, **fields)


@pytest.mark.parametrize("method", ["sdedit", "blended-latent-diffusion"])
def test_the_last_preview_is_the_finished_first_variation(models, method, monkeypatch):
    hooks = Recorded()
    source = picture(64, 64)
    mask = box(64, 64, (16, 40), (16, 40))
    decode, decoded = type(models.get()).decode, []
    monkeypatch.setattr(type(models.get()), "decode", lambda *a: decoded.append(decode(*a)) or decoded[-1])
    first = Edit(source, mask, method=method, parameters=PARAMETERS).run(models) and decoded[-2]  # of two
    decoded.clear()
    assert draft(source, mask, method=method, parameters=PARAMETERS, variations=3).run(models, hooks) == []
    steps = [step for step, _ in hooks.previews]
    assert steps == sorted(set(steps)) and steps[-1] == hooks.steps[-1][0]  # once at the end
    rgb = hooks.previews[-1][1]
    assert rgb.dtype == np.uint8 and rgb.shape == (64, 64, 3)
    inside = np.zeros((64, 64), bool)
    inside[16:40, 16:40] = True
    assert np.array_equal(rgb[~inside], source[~inside][:, :3])
    finished = ((decoded[-1][0].clamp(-1, 1) + 1) * 127.5).permute(1, 2, 0).numpy()
    np.testing.assert_allclose(rgb[inside], finished[inside], atol=1)
    assert torch.equal(decoded[-1], first)  # an edit decodes the unedited picture after it


def test_it_runs_one_variation_and_neither_finishes_nor_ranks(models):
    hooks = Recorded()
    draft(picture(80, 100), MASK, variations=4).run(models, hooks)
    assert set(hooks.stages) == {"Loading the model", "Editing"}
    assert hooks.fractions[-1] == 1.0


def test_a_draft_that_is_cancelled_shows_nothing_finished(models):
    hooks = Recorded(cancel_after=3)
    with pytest.raises(Cancelled):
        draft(picture(80, 100), MASK, parameters={"steps": 20}).run(models, hooks)
    assert all(step <= 3 < hooks.steps[0][1] for step, _ in hooks.previews)


class Slow(Shades):
    id, version, title, summary, source = "slow", 1, "Slow", "Takes long.", "tests"
    drafts, Parameters = False, Shades.Parameters

    def run(self, inputs, params, context):
        pytest.fail("it ran")


def test_one_of_a_method_that_has_nothing_to_show_is_refused(models, monkeypatch):
    assert describe(Slow())["drafts"] is False and describe(Shades())["drafts"] is True
    monkeypatch.setattr("velatura.methods.execute.registry", lambda: {"slow": Slow()})
    with pytest.raises(VelaturaError, match="“Slow” has nothing to show before it is done"):
        draft(picture(64, 64), method="slow", prompt="a cat", parameters={}).run(models)


def test_of_masks_the_first_is_shown_white_on_black(models, monkeypatch):
    monkeypatch.setattr("velatura.methods.execute.registry", lambda: {**registry(), "shades": Shades()})
    hooks, source = Recorded(), picture(64, 64)
    edit = draft(source, method="shades", prompt="a cat", parameters={})
    assert edit.run(models, hooks) == []
    ((step, rgb),) = hooks.previews
    assert step == 2 and (rgb == rgb[..., :1]).all()
    assert np.abs(rgb[..., 0] - source[..., :3].mean(axis=2)).max() <= 1
