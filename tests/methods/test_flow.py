"""Editing by a flow as a person asks for it: exactness, refusals, dials, what is remembered."""

from __future__ import annotations

import numpy as np
import pytest

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from velatura.cache.cache import Cache
from velatura.flow import even
from velatura.methods.base import Cancelled
from velatura.methods.evening import STEPS as PROBE_STEPS
from velatura.methods.execute import execute
from velatura.methods.flowing import FARTHEST
from velatura.methods.registry import registry
from velatura_protocol.errors import VelaturaError

MASK = box(80, 100, (30, 60), (20, 70))
CAPTION = "a red hat"
FAR = {"only_changes": False, "steps": 4}


def align(prompt="a blue hat", mask=MASK, source=None, **parameters):
    return _edit("flow-align", prompt, mask, source, {"strength": 20.0, **FAR, **parameters})


def slide(*dials, prompt="", mask=MASK, source=None, **parameters):
    asked = [{"less": less, "more": more, "strength": strength} for less, more, strength in dials]
    return _edit("flow-slider", prompt, mask, source, {**FAR, "even": False, **parameters, "dials": asked})


def _edit(method, prompt, mask, source, parameters):
    source = picture(80, 100, dtype="u16") if source is None else source
    parameters = {"source_prompt": CAPTION, **parameters}
    return Edit(source, mask, method=method, prompt=prompt, parameters=parameters)


def run(asked, models, cache=None, hooks=None):
    return execute(asked.request, asked.blobs.__getitem__, models, hooks or Recorded(), cache)


def cache():
    return Cache(memory=1 << 28)


NOTHING = {
    "the same caption": lambda **more: align(CAPTION, **more),
    "the same caption, free": lambda **more: align(CAPTION, form="plain", **more),
    "strength 0, free": lambda **more: align(form="plain", strength=0.0, **more),
    "strength 0": lambda **more: align(strength=0.0, **more),
    "a dial at 0": lambda **more: slide(("red", "blue", 0.0), **more),
    "a dial that leads nowhere": lambda **more: slide(("red", "red", 80.0), **more),
    "a dial at 0, held to something else": lambda **more: slide(
        ("red", "blue", 0.0), held_to="a cat", **more
    ),
    "even dials at 0": lambda **more: slide(("red", "blue", 0.0), even=True, **more),
}


@pytest.mark.parametrize("nothing", NOTHING.values(), ids=NOTHING)
@pytest.mark.parametrize("only_changes", [True, False])
@pytest.mark.parametrize("dtype", ["u8", "u16", "f32"])
def test_what_asks_for_nothing_gives_the_layer_exactly(nothing, only_changes, dtype, models):
    source = picture(80, 100, dtype=dtype)
    (layer,) = run(nothing(source=source, mask=None, only_changes=only_changes), models)
    assert np.array_equal(pixels(layer), source)


def test_what_asks_for_something_gives_another_picture_within_the_selection(models):
    source = picture(80, 100, dtype="u16")
    for asked in (align(), align(form="plain"), slide(("red", "blue", 100.0)), slide(prompt="a blue hat")):
        (layer,) = run(asked, models)
        x, y, width, height = layer.raster["rect"]
        assert (x, y, width, height) == (20, 30, 50, 30)
        assert not np.array_equal(pixels(layer)[..., :3], source[30:60, 20:70, :3])


def test_a_dial_that_is_not_even_is_a_share_of_the_farthest(models):
    by_dial = run(slide(("red", "blue", 100.0 / FARTHEST * 2.0), zeta=0.0), models)[0]
    by_align = run(align(strength=2.0, zeta=0.0, self_until=0.0), models)[0]
    assert np.abs(pixels(by_dial).astype(int) - pixels(by_align)).max() <= 1


def test_the_order_and_the_names_of_dials_do_not_matter(models):
    dials = [("red", "blue", 60.0), ("", "snow", 40.0), ("day", "night", -80.0)]
    one, other = (run(slide(*given), models)[0] for given in (dials, dials[::-1]))
    assert np.abs(pixels(one).astype(int) - pixels(other)).max() <= 2
    named = slide(*dials)
    for entry in named.request["parameters"]["dials"]:
        entry["name"] = "mine"
    assert run(named, models)[0].data == one.data


@pytest.mark.parametrize(
    ("asked", "code", "sentence"),
    [
        (align(source_prompt=" "), "empty-prompt", "Describe what the layer shows now"),
        (slide(("red", "blue", 1.0), source_prompt=""), "empty-prompt", "Describe what the layer shows now"),
        (slide(), "bad-request", "Add a dial"),
        (slide((" ", "…", 10.0)), "bad-request", "write what there should be more of"),
    ],
)
def test_what_cannot_be_done_is_refused_before_a_model_is_loaded(asked, code, sentence, models, monkeypatch):
    monkeypatch.setattr(type(models), "get", lambda *_: pytest.fail("a model was loaded"))
    with pytest.raises(VelaturaError, match=sentence) as refused:
        run(asked, models)
    assert refused.value.code == code


def test_even_dials_are_probed_once_a_layer_and_direction(models, monkeypatch):
    probed = []
    probe = even.probe
    monkeypatch.setattr(even, "probe", lambda *a: probed.append(a[4:6]) or probe(*a))
    kept, hooks = cache(), Recorded()
    first = run(slide(("red", "blue", 50.0), even=True), models, kept, hooks)[0]
    assert probed == [(CAPTION, "a blue hat")]
    tried = hooks.during.count("Trying out the dials")
    assert hooks.during[tried:] == ["Editing"] * FAR["steps"]
    assert 2 * PROBE_STEPS < tried <= PROBE_STEPS * len(even.PROBES)
    assert hooks.steps[:tried] == [(i, PROBE_STEPS * len(even.PROBES)) for i in range(1, tried + 1)]
    assert hooks.steps[tried:] == [(i, FAR["steps"]) for i in range(1, FAR["steps"] + 1)]
    assert hooks.fractions == sorted(hooks.fractions) and hooks.fractions[-2] == pytest.approx(1.0)
    moved = Recorded()
    run(slide(("red", "blue", 70.0), even=True), models, kept, moved)
    assert len(probed) == 1 and moved.steps == [(i, FAR["steps"]) for i in range(1, FAR["steps"] + 1)]
    run(slide(("red", "blue", -70.0), even=True), models, kept)
    assert probed[1:] == [("a blue hat", CAPTION)]
    # a recipe gives the same bytes, whatever was kept
    assert run(slide(("red", "blue", 50.0), even=True), models, kept)[0].data == first.data
    assert run(slide(("red", "blue", 50.0), even=True), models, cache())[0].data == first.data
    assert run(slide(("red", "blue", 50.0), even=True), models)[0].data == first.data


def test_progress_ends_where_it_should_with_several_dials_that_break_early(models, monkeypatch):
    monkeypatch.setattr(even, "breaks", lambda errors: len(errors) > 3)
    hooks = Recorded()
    run(
        slide(("red", "blue", 50.0), ("day", "night", 50.0), ("", "snow", 50.0), even=True),
        models,
        cache(),
        hooks,
    )
    probes = hooks.steps[: hooks.during.count("Trying out the dials")]
    assert len(probes) == 3 * 3 * PROBE_STEPS
    assert {n for _, n in probes} == {3 * PROBE_STEPS * len(even.PROBES)}
    assert [i for i, _ in probes] == sorted({i for i, _ in probes})
    assert hooks.steps[-1] == (FAR["steps"],) * 2
    assert hooks.fractions == sorted(hooks.fractions) and max(hooks.fractions) <= 1.0


def test_even_dials_outlive_the_process_and_go_on_where_they_were_stopped(models, tmp_path):
    asked = slide(("red", "blue", 50.0), even=True)
    whole = Recorded()
    fresh = run(asked, models, hooks=whole)[0]
    tried = whole.during.count("Trying out the dials")
    stopped = Recorded(cancel_after=2 * PROBE_STEPS + 1)
    with pytest.raises(Cancelled):
        run(asked, models, Cache(tmp_path, memory=1 << 24, disk=1 << 24), stopped)
    for probed in (tried - 2 * PROBE_STEPS, 0):
        hooks = Recorded()
        kept = Cache(tmp_path, memory=1 << 24, disk=1 << 24)
        assert run(asked, models, kept, hooks)[0].data == fresh.data
        assert hooks.during.count("Trying out the dials") == probed


def test_a_draft_takes_few_steps(models):
    asked = slide(("red", "blue", 50.0), steps=40)
    asked.request["draft"] = True
    hooks = Recorded()
    assert run(asked, models, hooks=hooks) == []
    assert len(hooks.steps) == 8 and hooks.previews


@pytest.mark.parametrize("share", [80.0, -80.0])
def test_variations_are_ranked_by_the_caption_that_a_dial_leads_to(share):
    method = registry()["flow-slider"]
    params = method.Parameters(
        source_prompt=CAPTION,
        dials=[{"less": "red", "more": "blue", "strength": share}, {"more": "snow", "strength": 20.0}],
    )
    assert method.wanted("", params) == ("a blue hat" if share > 0.0 else CAPTION)
    assert method.wanted("a cat", params) == "a cat"


def test_what_a_caption_changes_is_selected(models):
    asked = _edit("flow-mask", "a blue hat", MASK, None, {"strength": 20.0, "steps": 4, "self_until": 0.0})
    (layer,) = run(asked, models)
    found = pixels(layer)[..., 0]
    assert layer.kind == "mask" and found.shape == (80, 100)
    assert found[30:60, 20:70].max() > 0 and not found[MASK == 0].any()
    nothing = _edit("flow-mask", "a blue hat", None, None, {"strength": 0.0, "steps": 4})
    assert not pixels(run(nothing, models)[0]).any()
    with pytest.raises(VelaturaError, match="Both captions are the same"):
        run(_edit("flow-mask", CAPTION, None, None, {}), models)
