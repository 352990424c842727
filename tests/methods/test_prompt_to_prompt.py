"""Prompt-to-Prompt as a person asks for it: refusals, selections, what is remembered."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from velatura.cache.cache import Cache
from velatura.methods.base import Cancelled
from velatura.methods.execute import execute
from velatura.methods.prompt_to_prompt import settings
from velatura.methods.registry import registry
from velatura.prompt_to_prompt.plan import Settings
from velatura_protocol.errors import VelaturaError

MASK = box(80, 100, (30, 60), (20, 70))
SOFT = (np.arange(100) % 3).astype(np.uint8)
STEPS = 4


def edit(prompt="a blue hat", mask=MASK, variations=1, source=None, **parameters):
    parameters = {"source_prompt": "a red hat", "steps": STEPS, **parameters}
    return Edit(
        picture(80, 100) if source is None else source,
        mask,
        method="prompt-to-prompt",
        prompt=prompt,
        variations=variations,
        parameters=parameters,
    )


def cache(folder=None):
    return Cache(folder, memory=1 << 28, disk=1 << 26)


def run(asked, models, cache=None, hooks=None):
    return execute(asked.request, asked.blobs.__getitem__, models, hooks or Recorded(), cache)


@pytest.fixture
def rows(models, monkeypatch):
    """The rows of every pass through the network, in order."""
    model = models.get()
    counted = []
    network = type(model).network

    def count(self, x, *args, **more):
        counted.append(len(x))
        return network(self, x, *args, **more)

    monkeypatch.setattr(type(model), "network", count)
    return counted


def refused(models, code, **asked):
    with pytest.raises(VelaturaError) as error:
        run(edit(**asked), models)
    assert error.value.code == code
    return error.value.message


def test_what_cannot_be_done_is_refused_in_a_sentence(models):
    refused(models, "empty-prompt", source_prompt="  ")
    assert "change a word" in refused(models, "bad-request", prompt="a red hat")
    assert "one variation" in refused(models, "bad-request", variations=2)
    assert "'cat'" in refused(models, "bad-request", words=[{"text": "cat", "which": 1, "weight": 2.0}])
    refused(models, "prompt-too-long", source_prompt="hat " * 40)


@pytest.mark.parametrize("inversion", ["direct", "ddim", "negative-prompt", "null-text", "edit-friendly"])
def test_every_inversion_edits(models, inversion):
    (result,) = run(edit(inversion=inversion, local_blend=False), models)
    assert pixels(result).shape == (30, 50, 4)
    assert np.ptp(pixels(result)[..., :3]) > 20


def test_edit_friendly_noise_gives_variations(models):
    results = run(edit(variations=2, inversion="edit-friendly", local_blend=False), models)
    assert results[0].data != results[1].data


def test_a_new_picture_and_its_edit_come_from_the_seed(models):
    parameters = {"start": "new", "local_blend": False}
    plain = run(edit(prompt="a red hat", variations=2, **parameters), models)
    changed = run(edit(variations=2, **parameters), models)
    assert len({result.data for result in (*plain, *changed)}) == 4
    assert [r.data for r in run(edit(variations=2, **parameters), models)] == [r.data for r in changed]


def test_the_second_edit_of_a_layer_costs_its_own_branch_only(models, rows):
    kept = cache()
    run(edit(), models, kept)
    assert rows == [1] * STEPS + [3] * STEPS  # inversion; source, unconditional, target
    rows.clear()
    again = run(edit(), models, kept)
    assert rows == [2] * STEPS
    rows.clear()
    other = run(
        edit(prompt="a green hat", words=[{"text": "green", "which": 1, "weight": 2.0}]), models, kept
    )
    assert rows == [2] * STEPS
    fresh = run(edit(prompt="a green hat", words=[{"text": "green", "which": 1, "weight": 2.0}]), models)
    assert np.abs(pixels(other[0]).astype(int) - pixels(fresh[0])).max() <= 1
    assert np.abs(pixels(again[0]).astype(int) - pixels(run(edit(), models)[0])).max() <= 1


def test_another_caption_layer_or_number_of_steps_is_another_source(models, rows):
    kept = cache()
    run(edit(), models, kept)
    for other in (edit(source_prompt="a pink hat"), edit(steps=STEPS + 1)):
        rows.clear()
        run(other, models, kept)
        assert rows[0] == 1, "no inversion"
    moved = edit()
    moved.request["inputs"]["source"] = Edit(picture(80, 100, seed=5)).request["inputs"]["source"]
    moved.blobs |= Edit(picture(80, 100, seed=5)).blobs
    rows.clear()
    run(moved, models, kept)
    assert rows[0] == 1


def test_a_restart_loses_no_inversion(models, rows, tmp_path):
    first = run(edit(), models, cache(tmp_path))
    rows.clear()
    second = run(edit(), models, cache(tmp_path))
    assert rows == [3] * STEPS
    assert first[0].data == second[0].data


@pytest.mark.parametrize("steps", range(1, 2 * STEPS))
def test_an_edit_that_was_cancelled_leaves_a_memory_that_serves(models, steps):
    kept = cache()
    with pytest.raises(Cancelled):
        run(edit(), models, kept, Recorded(cancel_after=steps))
    after, whole = run(edit(), models, kept), run(edit(), models)
    assert np.abs(pixels(after[0]).astype(int) - pixels(whole[0])).max() <= 1


def test_progress_counts_the_inversion_and_only_if_there_is_one(models):
    kept = cache()
    for stages in (["Reading the layer", "Editing"], ["Editing"]):
        hooks = Recorded()
        run(edit(), models, kept, hooks)
        assert hooks.during == [stage for stage in stages for _ in range(STEPS)]
        assert hooks.steps == [(i, STEPS) for _ in stages for i in range(1, STEPS + 1)]
        whole = len(hooks.steps)
        assert hooks.fractions == pytest.approx([i / whole for i in range(whole + 1)] + [1.0])


WORDS = {"blend_words": "hat", "keep_words": "red, hat:1"}
PUBLISHED = {
    "published": {
        "cross_until": 0.8,
        "self_until": 0.2,
        "self_places": "half",
        "value_until": 0.0,
        "value_share": 0.0,
        "replaced": "swap",
        "renormalise": False,
        "local_blend": True,
        "threshold": 0.3,
        "blend_start": 0.2,
    },
    "cycle-consistent": {
        "cross_until": 0.2,
        "self_until": 0.8,
        "self_places": "half",
        "value_until": 0.2,
        "value_share": 0.5,
        "replaced": "swap",
        "renormalise": False,
        "local_blend": False,
        "threshold": 0.0,
        "blend_start": 0.0,
    },
}
OTHER = {
    "cross_until": 0.1,
    "self_until": 0.6,
    "self_places": "quarter",
    "value_until": 0.9,
    "value_share": 0.7,
    "replaced": "refine",
    "renormalise": True,
    "threshold": 0.9,
    "blend_start": 0.6,
}


@pytest.mark.parametrize(("preset", "told"), PUBLISHED.items(), ids=PUBLISHED)
def test_presets_are_the_published_settings_whatever_is_set_below(models, preset, told):
    """Every setting of an edit is one of the preset's or names words, and is set to something else below."""
    other = OTHER | {"local_blend": not told["local_blend"]}
    assert all(other[name] != value for name, value in told.items())
    Parameters = registry()["prompt-to-prompt"].Parameters
    named = {field.name for field in dataclasses.fields(Settings)} - {"self_share"} | {"self_places"}
    assert named == {*told, *WORDS}
    given, plain = (settings(Parameters(**WORDS, **more)) for more in (other | {"preset": preset}, told))
    assert given == plain
    assert given != settings(Parameters(**WORDS, **other))
    assert given.blend_words == ["hat"] and given.keep_words == ["red", "hat:1"]
    (chosen,) = run(edit(preset=preset, **other), models)
    assert chosen.data == run(edit(**told), models)[0].data


@pytest.mark.parametrize("words", [[], [{"text": "hat", "which": 1, "weight": 1.0}]], ids=["none", "at 1"])
def test_a_draft_in_which_nothing_is_changed_shows_the_layer_itself(models, words):
    hooks, source = Recorded(), picture(64, 64)
    asked = edit(prompt="A red hat", source=source, mask=None, words=words)
    asked.request["draft"] = True
    assert run(asked, models, hooks=hooks) == []
    ((_, rgb),) = hooks.previews
    assert np.array_equal(rgb, source[..., :3])
    asked.request["draft"] = False
    with pytest.raises(VelaturaError, match="change a word"):
        run(asked, models)


@pytest.mark.parametrize("draft", [False, True], ids=["edit", "draft"])
@pytest.mark.parametrize("mask", [None, MASK, MASK // 2 + MASK // 4 * SOFT], ids=["layer", "hard", "soft"])
def test_an_edit_that_local_blend_leaves_no_place_is_refused(models, mask, draft):
    asked = edit(mask=mask, keep_words="a, hat, red, blue")
    asked.request["draft"] = draft
    with pytest.raises(VelaturaError, match="fewer words to leave alone") as error:
        run(asked, models)
    assert error.value.code == "bad-request"


def test_a_selection_where_the_words_are_not_is_refused(models):
    asked = {"source": picture(64, 64), "blend_words": "hat", "threshold": 0.95, "context": 4.0}
    message = refused(models, "bad-request", mask=box(64, 64, (0, 8), (0, 8)), **asked)
    assert "select more of the layer" in message
    assert run(edit(mask=box(64, 64, (48, 64), (32, 64)), **asked), models)


def test_the_highest_threshold_still_edits(models):
    threshold = registry()["prompt-to-prompt"].Parameters.model_fields["threshold"]
    (highest,) = (bound.le for bound in threshold.metadata if hasattr(bound, "le"))
    (result,) = run(edit(mask=None, threshold=highest), models)
    assert not np.array_equal(pixels(result), picture(80, 100))
    refused(models, "bad-request", threshold=1.0)
