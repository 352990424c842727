"""StyleCLIP's three methods, on tiny networks: results, what is kept, drafts, stops and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from tests.tiny import tiny_clip
from tests.tiny_styles import tiny_styles
from velatura.cache.cache import Cache
from velatura.generators.styles import STYLE
from velatura.methods import facing, styleclip_direction, styleclip_mapper
from velatura.methods.base import Cancelled
from velatura.methods.execute import execute
from velatura.methods.registry import registry
from velatura.models.catalogue import EMBEDDED_COMPANIONS, ModelEntry
from velatura.models.store import ModelStore
from velatura.shelf import Shelf
from velatura_protocol.errors import VelaturaError

PLACE = {"place": "selection"}
PARAMETERS = {
    "styleclip-optimize": {"steps": 6, "person": 0.5, **PLACE},
    "styleclip-direction": {"faces": 2, "only": 0.0, "phrases": False, **PLACE},
    "styleclip-mapper": {"steps": 6, "batch": 2, **PLACE},
}
METHODS = tuple(PARAMETERS)
KINDS = {"styleclip-optimize": "vector", "styleclip-direction": "direction", "styleclip-mapper": "mapper"}
FACE = box(64, 64, (16, 48), (12, 44))


@pytest.fixture(scope="module")
def entry(tmp_path_factory):
    folder = tiny_styles(tmp_path_factory.mktemp("styles"))
    clip = str(tiny_clip(tmp_path_factory.mktemp("clip"), words=30))
    companions = {"clip": clip, "identity": str(EMBEDDED_COMPANIONS["identity"])}
    return ModelEntry("face", "Face", "style", str(folder), 32, companions, generator=STYLE)


@pytest.fixture(scope="module")
def models(entry):
    return ModelStore([entry])


@pytest.fixture(scope="module")
def cache():
    """Of all tests that need not measure the model anew."""
    return Cache(memory=1 << 26)


def edit(method, prompt="a beard", parameters=None, **more):
    values = PARAMETERS[method] | (parameters or {})
    return Edit(picture(), FACE, method=method, prompt=prompt, parameters=values, **more)


def run(asked, models, cache=None, shelf=None, hooks=None):
    hooks = hooks or Recorded()
    return execute(asked.request, asked.blobs.__getitem__, models, hooks, cache, shelf)


@pytest.mark.parametrize("method", METHODS)
def test_the_face_changes_and_a_rerun_gives_the_same_bytes(method, models, cache):
    hooks = Recorded()
    asked = edit(method)
    (layer,) = run(asked, models, cache, hooks=hooks)
    assert layer.raster["rect"] == [12, 16, 32, 32]
    assert np.abs(pixels(layer)[..., :3].astype(int) - picture()[16:48, 12:44, :3]).max() > 2
    asked.request = layer.recipe | {"variations": 1}
    (again,) = run(asked, models)  # with nothing that was kept
    assert again.data == layer.data
    if method == "styleclip-optimize":
        assert hooks.previews


@pytest.mark.parametrize("method", METHODS)
def test_an_amount_of_nothing_is_the_layer_and_a_run_with_it_takes_what_was_found(method, models, cache):
    run(edit(method), models, cache)
    hooks = Recorded()
    (layer,) = run(edit(method, parameters={"amount": 0.0}), models, cache, hooks=hooks)
    assert np.array_equal(pixels(layer)[..., :3], picture()[16:48, 12:44, :3])
    assert not {stage for stage in hooks.during if stage.startswith(("Leading", "Learning", "Looking at"))}


@pytest.mark.parametrize("method", METHODS)
def test_one_that_was_stopped_goes_on_and_gives_the_same_bytes(method, models):
    more = {"faces": 12} if method == "styleclip-direction" else {}  # two batches
    asked, cache = edit(method, parameters=more), Cache(memory=1 << 26)
    (whole,) = run(asked, models)
    everything = Recorded()
    run(asked, models, hooks=everything)
    stop = len(everything.steps) - 3
    with pytest.raises(Cancelled):
        run(asked, models, cache, hooks=Recorded(cancel_after=stop))
    hooks = Recorded()
    (layer,) = run(asked, models, cache, hooks=hooks)
    assert layer.data == whole.data
    assert len(hooks.steps) < len(everything.steps) - 2


@pytest.mark.parametrize("method", METHODS)
def test_a_kept_change_is_a_slider_that_does_the_same(method, models, cache, tmp_path):
    asked = edit(method, parameters={"keep_as": "Beard"})
    (layer,) = run(asked, models, cache, tmp_path)
    (kept,) = Shelf(tmp_path).entries(models.get().digest)
    assert (kept.title, kept.kind) == ("Beard", KINDS[method])
    assert kept.recipe["prompt"] == "a beard" and kept.recipe["parameters"]["keep_as"] == "Beard"
    dials = {"dials": [{"dial": kept.id, "amount": 100.0}], **PLACE}
    slid = Edit(picture(), FACE, method="face-dials", prompt="", parameters=dials)
    (same,) = run(slid, models, cache, tmp_path)
    change = pixels(same).astype(int) - pixels(layer).astype(int)
    assert np.abs(change).max() <= 1


def test_a_learned_change_is_on_the_shelf_and_is_not_learned_again(models, tmp_path):
    (layer,) = run(edit("styleclip-mapper"), models, Cache(memory=1 << 26), tmp_path)
    (kept,) = Shelf(tmp_path).entries()
    assert kept.title == "a beard"
    hooks = Recorded()
    (again,) = run(edit("styleclip-mapper"), models, shelf=tmp_path, hooks=hooks)
    assert again.data == layer.data
    assert styleclip_mapper.LEARNING.name not in hooks.during
    other = edit("styleclip-mapper", parameters={"person": 0.0})
    run(other, models, shelf=tmp_path, hooks=hooks)
    assert styleclip_mapper.LEARNING.name in hooks.during
    assert [entry.title for entry in Shelf(tmp_path).entries()] == ["a beard", "a beard (2)"]


def test_a_model_is_measured_once_and_then_a_draft_shows_the_slider_at_once(models, cache):
    run(edit("styleclip-direction"), models, cache)
    hooks = Recorded()
    asked = edit("styleclip-direction", prompt="a hat", parameters={"amount": -3.0}, draft=True)
    assert run(asked, models, cache, hooks=hooks) == []
    assert styleclip_direction.LOOKING.name not in hooks.during
    assert len(hooks.previews) == 1
    (layer,) = run(edit("styleclip-direction", prompt="a hat", parameters={"amount": -3.0}), models, cache)
    drawn = pixels(layer)[..., :3].astype(int)
    assert hooks.previews[0][1].shape == (64, 64, 3)
    assert np.abs(hooks.previews[0][1][16:48, 12:44].astype(int) - drawn).max() <= 1


@pytest.mark.parametrize("method", ["styleclip-direction", "styleclip-mapper"])
def test_the_change_does_not_depend_on_the_layer(method, models, cache, tmp_path):
    run(edit(method, parameters={"keep_as": "One"}), models, cache, tmp_path / "a")
    asked = Edit(
        picture(seed=5),
        FACE,
        method=method,
        prompt="a beard",
        parameters=PARAMETERS[method] | {"keep_as": "One"},
    )
    run(asked, models, Cache(), tmp_path / "b")
    (one,), (other,) = (Shelf(tmp_path / name).entries() for name in "ab")
    assert one.id == other.id


@pytest.mark.parametrize("method", METHODS)
def test_they_follow_from_the_layer_and_say_what_they_need(method):
    found = registry()[method]
    params = found.Parameters()
    assert not found.varies(params)
    assert (found.needs, found.reads_prompt, found.generator, found.section) == (
        "clip",
        "clip",
        STYLE,
        "faces",
    )
    assert isinstance(params, facing.FaceParameters)


@pytest.mark.parametrize(
    ("method", "prompt", "parameters", "code", "message"),
    [
        *[(method, "x" * 40, {}, "prompt-too-long", "^The prompt is too long") for method in METHODS],
        *[(method, "", {}, "empty-prompt", None) for method in METHODS],
        ("styleclip-direction", "a hat", {"neutral": "y" * 40}, "prompt-too-long", "^“Instead of” is too"),
        ("styleclip-direction", "a hat", {"neutral": "  "}, "empty-prompt", "Fill in “Instead of”"),
        ("styleclip-direction", "a hat", {"neutral": "a  hat"}, "bad-request", "are the same"),
        (
            "styleclip-direction",
            "A Hat",
            {"neutral": "the hat", "phrases": True},
            "bad-request",
            "are the same",
        ),
        ("styleclip-direction", "a hat", {"keep_as": "Hat", "amount": 0.0}, "bad-request", "^At 0 a kept"),
        (
            "styleclip-mapper",
            "a hat",
            dict.fromkeys(("coarse", "medium", "fine"), False),
            "bad-request",
            "Nothing",
        ),
        ("styleclip-optimize", "a hat", {"keep_as": "Hat"}, "bad-request", "Nothing can be kept here"),
    ],
)
def test_what_cannot_be_done_is_refused_before_it_begins(method, prompt, parameters, code, message, models):
    hooks = Recorded()
    with pytest.raises(VelaturaError, match=message) as caught:
        run(edit(method, prompt, parameters), models, hooks=hooks)
    assert caught.value.code == code
    assert hooks.during == []


@pytest.mark.parametrize("method", METHODS)
def test_a_model_without_clip_is_refused(method, entry):
    plain = ModelStore([ModelEntry("face", "Face", "style", entry.path, 32, {}, generator=STYLE)])
    with pytest.raises(VelaturaError, match="--clip") as caught:
        run(edit(method), plain)
    assert caught.value.code == "unknown-model"


def test_a_model_without_an_identity_encoder_has_its_clip_look_after_the_person(entry):
    companions = {"clip": entry.companions["clip"]}
    plain = ModelStore([ModelEntry("face", "Face", "style", entry.path, 32, companions, generator=STYLE)])
    (layer,) = run(edit("styleclip-optimize"), plain)
    assert pixels(layer).any()


def test_a_wish_that_nothing_belongs_to_is_refused_and_a_slider_passes_through_it(models, cache):
    asked = edit("styleclip-direction", parameters={"only": 0.9, "faces": 2})
    strict = edit("styleclip-direction", parameters={"only": 0.9, "faces": 2}, draft=True)
    relevance_all = edit("styleclip-direction", parameters={"only": 0.0})
    run(relevance_all, models, cache)
    with pytest.raises(VelaturaError, match="lower “Only what belongs”"):
        run(asked, models, cache)
    hooks = Recorded()
    assert run(strict, models, cache, hooks=hooks) == [] and len(hooks.previews) == 1
