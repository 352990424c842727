"""Edits that find their own place: what is named, and what captions disagree about."""

from __future__ import annotations

import numpy as np
import pytest

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from tests.tiny import tiny_sam3
from velatura.methods import naming
from velatura.methods.base import Cancelled
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError

NAMED = {"name": "a cat", "threshold": 0.0, "softness": 0.0, "steps": 4}
CAPTIONS = {"source_prompt": "a cat", "looks": 2, "steps": 4}
THRESHOLD = 0.5  # the tiny segmenter's map crosses it
MASK = box(64, 64, (8, 56), (12, 44))


def edit(models, method, mask=MASK, hooks=None, source=None, prompt="a hat", variations=1, **parameters):
    settings = {**(NAMED if method == "replace-named" else CAPTIONS), **parameters}
    given = picture() if source is None else source
    asked = Edit(given, mask, method=method, prompt=prompt, parameters=settings, variations=variations)
    return asked.run(models, hooks)


def alpha(result):
    return pixels(result)[..., 3]


def test_the_alpha_of_an_edit_is_what_was_found_within_the_selection(models):
    """The softest threshold finds all, so it is the selection; a middle one finds a part of it."""
    soft = np.where(MASK > 0, 128, 0).astype(np.uint8)
    (whole,) = edit(models, "replace-named", soft, margin=0.0)
    assert np.array_equal(alpha(whole), soft[8:56, 12:44])
    found = find(models, MASK)
    (part,) = edit(models, "replace-named", threshold=THRESHOLD, margin=0.0, softness=0.2)
    assert 0 < (alpha(part) > 0).sum() < (MASK > 0).sum()
    assert not alpha(part)[found[8:56, 12:44] == 0].any()
    assert not pixels(part)[alpha(part) == 0].any()


def find(models, mask):
    cut = {"threshold": THRESHOLD, "softness": 0.2}
    asked = Edit(picture(), mask, method="clipseg-mask", prompt="a cat", parameters=cut)
    return pixels(asked.run(models)[0])[..., 0]


@pytest.mark.parametrize("method", ["replace-named", "diffedit"])
def test_a_preview_shows_the_layer_itself_outside_what_was_found(models, method):
    hooks = Recorded()
    more = {"threshold": THRESHOLD, "margin": 0.0} if method == "replace-named" else {"threshold": 0.8}
    (result,) = edit(models, method, hooks=hooks, softness=0.0, **more)
    assert hooks.previews
    untouched = np.zeros((64, 64), bool)
    untouched[8:56, 12:44] = alpha(result) == 0
    untouched |= MASK == 0
    _, shown = hooks.previews[-1]
    assert np.abs(shown[untouched].astype(int) - picture()[untouched][:, :3]).max() <= 1
    assert np.abs(shown[~untouched].astype(int) - picture()[~untouched][:, :3]).max() > 1


def test_what_is_not_found_is_refused_with_advice(models):
    with pytest.raises(VelaturaError, match="'a cat, a dog' was not found here; call it") as refused:
        edit(models, "replace-named", name="a cat,a dog", threshold=1.0)
    assert refused.value.code == "empty-mask"


def test_captions_that_agree_in_the_selection_are_refused_with_advice(models):
    """Half of the disagreement or more is elsewhere than in one pixel of the corner."""
    corner = box(64, 64, (63, 64), (63, 64))
    with pytest.raises(
        VelaturaError, match="do not disagree enough in the selection; select more"
    ) as refused:
        edit(models, "diffedit", corner, threshold=0.95)
    assert refused.value.code == "empty-mask"


@pytest.mark.parametrize("method", ["replace-named", "diffedit"])
def test_a_faint_selection_is_edited_whole_at_its_own_opacity(models, method):
    """What is found does not depend on the selection's opacity: that is the result's."""
    faint = np.where(MASK > 0, 51, 0).astype(np.uint8)
    (strong,), (weak,) = (edit(models, method, mask, softness=0.0) for mask in (MASK, faint))
    assert np.array_equal(alpha(weak) > 0, alpha(strong) > 0)
    assert alpha(weak).max() == 51 and alpha(strong).max() == 255
    assert np.array_equal(pixels(weak)[..., :3], pixels(strong)[..., :3])


def test_several_names_are_replaced_together(models):
    at = {"threshold": THRESHOLD, "margin": 0.0}
    one, other, both = (
        alpha(edit(models, "replace-named", name=name, **at)[0]) for name in ("cat", "sky", "cat, sky")
    )
    assert np.array_equal(both, np.maximum(one, other))


@pytest.mark.parametrize(
    ("parameters", "prompt", "code", "said"),
    [
        ({"name": " , "}, "a hat", "empty-prompt", "“Replace” names nothing; say there what to replace"),
        ({"name": ",".join("abcdefghijklmnopq")}, "a hat", "bad-request", "“Replace” names 17 things"),
        ({"name": "x" * 76}, "a hat", "prompt-too-long", "too long for the segmenter"),
        ({}, "x" * 76, "prompt-too-long", "too long"),
        ({"negative_prompt": "x" * 76}, "a hat", "prompt-too-long", "“Avoid”"),
    ],
)
def test_the_segmenter_reads_the_name_and_the_model_the_prompt(models, parameters, prompt, code, said):
    with pytest.raises(VelaturaError, match=said) as refused:
        edit(models, "replace-named", prompt=prompt, **parameters)
    assert refused.value.code == code


def test_names_together_may_be_longer_than_the_model_reads(models):
    many = ", ".join(f"thing {i}" for i in range(16))
    assert models.get().excess(many)
    assert len(edit(models, "replace-named", name=many)) == 1


def test_sam_3_finds_what_is_replaced_where_a_model_has_it(entries, tmp_path):
    folder = str(tiny_sam3(tmp_path))
    store = ModelStore([ModelEntry("sam", "Sam", "diffusers", entries[0].path, 64, {"segmenter": folder})])
    (result,) = edit(store, "replace-named", margin=0.0)
    assert np.array_equal(alpha(result), MASK[8:56, 12:44])
    with pytest.raises(VelaturaError, match="too long for the segmenter"):
        edit(store, "replace-named", name="x" * 31)


def test_the_rank_is_that_of_what_a_person_sees(models):
    results = edit(models, "replace-named", variations=2)
    assert sorted(result.place.rank for result in results) == [0, 1]


def test_a_mask_grows_evenly_and_loses_nothing():
    import torch

    m = torch.zeros(1, 1, 40, 60)
    m[..., 18:22, 28:32] = 1.0
    m[..., 18, 28] = 0.3
    assert naming.grown(m, 0.0) is m
    wide = naming.grown(m, 0.2)
    assert (wide >= m).all() and wide.max() == 1.0
    rows, columns = (torch.nonzero(wide[0, 0].sum(side)) for side in (1, 0))
    assert (int(rows.min()), int(rows.max())) == (10, 29)  # 8 pixels are a fifth of the shorter side
    assert (int(columns.min()), int(columns.max())) == (20, 39)
    assert wide[0, 0, 10, 20] < 0.1 < wide[0, 0, 10, 30]  # the corners are rounder than the sides


def test_diffedit_reads_the_layer_once(entries):
    """What is compared and what is read is kept while the other settings move; a run stopped begins there."""
    store = ModelStore(entries)
    from velatura.cache.cache import Cache
    from velatura.methods.execute import execute

    cache = Cache(memory=1 << 24)

    def run(hooks, **parameters):
        asked = Edit(
            picture(),
            MASK,
            method="diffedit",
            parameters=CAPTIONS | {"steps": 8, "strength": 0.5} | parameters,
        )
        return execute(asked.request, asked.blobs.__getitem__, store, hooks, cache)

    hooks = Recorded(cancel_after=3)
    with pytest.raises(Cancelled):
        run(hooks)
    assert hooks.during == ["Comparing the captions"] * 2 + ["Reading the layer"]
    hooks = Recorded()
    (first,) = run(hooks)
    assert hooks.during == ["Reading the layer"] * 2 + ["Editing"] * 4
    (again,) = run(hooks)
    assert hooks.during[6:] == ["Editing"] * 4 and first.data == again.data
    assert run(Recorded(), guidance=9.0)[0].data != first.data
    (alone,) = Edit(
        picture(), MASK, method="diffedit", parameters=CAPTIONS | {"steps": 8, "strength": 0.5}
    ).run(store)
    assert alone.data == first.data


def test_captions_that_do_not_disagree_are_refused(models):
    for parameters, code in (
        ({"source_prompt": " A hat"}, "bad-request"),
        ({"source_prompt": ""}, "empty-prompt"),
    ):
        with pytest.raises(VelaturaError) as refused:
            edit(models, "diffedit", **parameters)
        assert refused.value.code == code


def test_the_more_the_picture_itself_is_mixed_the_more_of_its_layout_stays(models):
    """At 0 it is the layer at the level at which the layout is settled; at 1 both ways are one."""

    def magic(**parameters):
        asked = Edit(picture(dtype="f32"), method="magicmix", parameters={"steps": 8, **parameters})
        return pixels(asked.run(models)[0])[..., :3]

    low = Edit(
        picture(dtype="f32"), method="sdedit", parameters={"steps": 8, "strength": 0.5}
    )  # the first level that is not mixed is the first of such a run
    far = [np.abs(magic(mix=mix) - pixels(low.run(models)[0])[..., :3]).mean() for mix in (0.0, 0.5, 1.0)]
    assert far == sorted(far) and far[0] < 0.9 * far[2]
    assert np.array_equal(magic(mix=1.0), magic(mix=1.0, mixed="seen"))
    assert not np.array_equal(magic(mix=0.5), magic(mix=0.5, mixed="seen"))


def test_a_layout_that_never_counts_is_refused(models):
    with pytest.raises(VelaturaError, match="make “Layout until” lower"):
        Edit(picture(), method="magicmix", parameters={"strength": 0.5}).run(models)
