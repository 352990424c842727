"""What every method that edits has to keep when it runs."""

from dataclasses import replace

import numpy as np
import pytest

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from tests.tiny import tiny_clip, tiny_pixel_model, tiny_vq
from velatura.generators.styles import STYLE
from velatura.methods.base import Cancelled
from velatura.methods.checks import lacking
from velatura.methods.registry import registry
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore

#: Those on faces follow from the layer; the one inside joint attention and the one for models that follow
#: instructions refuse these models. They have tests of their own.
EDITING = [m for m in registry().values() if m.result == "layer" and m.generator != STYLE and not m.trait]
EDITORS = pytest.mark.parametrize("method", EDITING, ids=[method.id for method in EDITING])
MASK = box(64, 64, (20, 40), (16, 44))
#: What a method cannot do without, and what makes its seeds matter.
ASKED = {
    "compose": {
        "source_prompt": "a cat",
        "concepts": [{"more": "snow", "strength": 100.0, "begin": 0.0, "reach": 1.0}],
        "inversion": "edit-friendly",
        "local_blend": False,
        "only_changes": False,
    },
    "kv-edit": {"reading": "noise"},
    "imagic": {"text_steps": 6, "layer_steps": 6},
    "ledits": {"concepts": [{"text": "snow", "scale": 20.0, "threshold": 0.0}], "start": 1.0},
    "diffedit": {"source_prompt": "a cat", "looks": 6, "threshold": 0.8},
    "replace-named": {"name": "a cat", "threshold": 0.0},
    "vqgan-clip": {"rate": 0.5, "scatter": 0.5, "hold": 0.0, "views": 2},
    "paint-by-word": {"rate": 0.5, "scatter": 0.5, "views": 2},
    "text2live": {"views": 2, "rate": 0.02, "place": "a cat"},
    "prompt-to-prompt": {"source_prompt": "a cat", "inversion": "edit-friendly", "local_blend": False},
    "flow-align": {"source_prompt": "a cat", "only_changes": False, "strength": 20.0},
    "h-space": {
        "source_prompt": "a cat",
        "inversion": "edit-friendly",
        "only_changes": False,
        "begin": 0.0,
        "tries": 2,  # the prompt is its dial
    },
    "flow-slider": {
        "source_prompt": "a cat",
        "only_changes": False,
        "even": False,  # else it looks at pictures before the first step
        "dials": [{"less": "cat", "more": "dog"}],
    },
    "sega": {
        "source_prompt": "a cat",
        "inversion": "edit-friendly",
        "only_changes": False,
        "concepts": [{"more": "a hat", "strength": 60.0}],
    },
}


@pytest.fixture(scope="module")
def models(entries, tmp_path_factory):
    """A model of each kind, with a CLIP."""
    folder = tmp_path_factory.mktemp("vq")
    clip = {"clip": str(tiny_clip(folder / "clip"))}
    vq = ModelEntry("vq", "VQ", "vq", str(tiny_vq(folder / "vq", size=64)), 64, clip, generator="vq")
    pixel = ModelEntry(
        "px", "PX", "pixels", str(tiny_pixel_model(folder / "px", 64)), 64, clip, generator="pixel-diffusion"
    )
    return ModelStore([replace(entries[0], companions={**entries[0].companions, **clip}), pixel, vq])


def ask(method, source, parameters=None, **fields):
    """An edit with a selection. parameters: those of them that the method has; by default four steps."""
    known = method.Parameters.model_fields
    given = {key: value for key, value in (parameters or {"steps": 4}).items() if key in known}
    asked = ASKED.get(method.id, {}) | given
    return Edit(source, MASK, method=method.id, parameters=asked, **fields)


@EDITORS
def test_the_same_seed_gives_the_same_pixels_and_another_seed_others(method, models):
    edit = ask(method, picture())
    first, again = edit.run(models)[0], edit.run(models)[0]
    assert first.data == again.data
    edit.request["seed"] = 8
    assert edit.run(models)[0].data != first.data


@EDITORS
def test_a_variation_does_not_depend_on_its_batch(method, models):
    edit = ask(method, picture(dtype="f32"), variations=3)
    batch = edit.run(models)
    edit.request |= {"variations": 1, "seed": 9}
    alone = edit.run(models)[0]
    assert batch[2].seed == alone.seed == 9
    np.testing.assert_allclose(pixels(batch[2]), pixels(alone), atol=1e-4)
    assert np.abs(pixels(batch[1]) - pixels(alone)).max() > 1e-3


@EDITORS
def test_the_prompt_and_the_source_matter(method, models):
    edit = ask(method, picture(dtype="f32"))
    first = edit.run(models)[0].data
    edit.request["prompt"] = "a beard"
    assert edit.run(models)[0].data != first
    other = ask(method, picture(dtype="f32", seed=5)).run(models)[0].data
    assert (other == first) == method.from_nothing


@EDITORS
@pytest.mark.parametrize("after", [0, 1, 3])
def test_a_run_stops_within_a_step(method, models, after):
    hooks = Recorded(cancel_after=after)
    with pytest.raises(Cancelled):
        ask(method, picture(), {"steps": 20}).run(models, hooks)
    assert len(hooks.steps) == after


@EDITORS
def test_a_run_stops_before_it_decodes(method, models, monkeypatch):
    model = models.get(models.entry("", lambda entry: lacking(method, entry) is None).id)
    decode, decoded = type(model).decode, []
    monkeypatch.setattr(type(model), "decode", lambda self, z: decoded.append(z) or decode(self, z))
    hooks = Recorded(cancel_after=4)
    edit = ask(method, picture(), {"steps": 4, "strength": 1.0}, variations=2)
    with pytest.raises(Cancelled):
        edit.run(models, hooks)
    assert len(hooks.steps) == 4
    assert len(decoded) == (len(hooks.previews) if method.generator else 0)  # paint needs no decoder


@EDITORS
def test_progress_and_previews_are_told(method, models):
    hooks = Recorded()
    ask(method, picture(), {"steps": 6, "strength": 1.0}).run(models, hooks)
    stages = dict.fromkeys(hooks.during)  # an inversion has steps too
    assert list(stages)[-1] == "Editing" and len(hooks.steps) == 6 * len(stages)
    assert hooks.steps == [(i, 6) for _ in stages for i in range(1, 7)]
    assert hooks.fractions == sorted(hooks.fractions) and hooks.fractions[-1] == 1.0
    assert hooks.stages[0] == "Loading the model"
    step, rgb = hooks.previews[0]
    assert step == 1 and rgb.dtype == np.uint8 and rgb.shape == (64, 64, 3)
    assert np.abs(rgb[:16].astype(int) - picture()[:16, :, :3]).max() <= 1  # outside: the source
