"""VQGAN-CLIP, Paint by Word and Text2LIVE as methods, on tiny networks."""

from __future__ import annotations

import numpy as np
import pytest

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from tests.tiny import tiny_clip, tiny_vq
from velatura.cache.cache import Cache
from velatura.methods.base import Cancelled
from velatura.methods.execute import execute
from velatura.methods.registry import registry
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError

METHODS = ("vqgan-clip", "paint-by-word", "text2live")


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tiny_vq(tmp_path_factory.mktemp("vq"), size=64)
    clip = {"clip": str(tiny_clip(tmp_path_factory.mktemp("clip"), words=60))}
    return ModelStore([ModelEntry("vq", "VQ", "vq", str(folder), 64, clip, generator="vq")])


def edit(method, mask=True, **fields):
    few = {"views": 2} if method != "text2live" else {"views": 2, "place": "hat", "source_prompt": "a man"}
    selection = box(64, 64, (16, 48), (16, 48), 200) if mask else None
    parameters = {"steps": 20 if method == "text2live" else 10, **few}
    model = {"id": "vq", "digest": ""}
    return Edit(picture(), selection, method=method, parameters=parameters, model=model, **fields)


@pytest.mark.parametrize("method", METHODS)
def test_the_layer_has_the_selections_bounds_and_a_rerun_gives_the_same_bytes(method, models):
    hooks = Recorded()
    asked = edit(method)
    (layer,) = asked.run(models, hooks)
    assert layer.raster["rect"] == [16, 16, 32, 32] and hooks.previews
    alpha = pixels(layer)[..., 3]
    assert (alpha <= 200).all() and (alpha == 200).all() == (method != "text2live")
    asked.request = layer.recipe | {"variations": 1}
    (again,) = asked.run(models)
    assert again.data == layer.data


@pytest.mark.parametrize("method", METHODS)
def test_a_seed_gives_the_same_in_a_batch_and_after_a_stop(method, models):
    two = edit(method, variations=2).run(models)
    assert two[0].data != two[1].data
    asked = edit(method, seed=8)
    cache = Cache(memory=1 << 26)
    with pytest.raises(Cancelled):
        execute(asked.request, asked.blobs.__getitem__, models, Recorded(cancel_after=4), cache)
    hooks = Recorded()
    (alone,) = execute(asked.request, asked.blobs.__getitem__, models, hooks, cache)
    assert alone.data == two[1].data
    assert hooks.steps[0][0] in (5, 6)  # it went on where it was stopped, before or after a preview


def test_text2lives_layer_over_the_source_is_the_picture_that_was_meant(models, monkeypatch):
    method, painted = type(registry()["text2live"]), []
    run = method.run
    monkeypatch.setattr(method, "run", lambda *given: painted.append(run(*given)) or painted[0])
    (layer,) = edit("text2live", mask=False).run(models)
    colour, own = ((painted[0][0, :3] + 1.0) / 2.0).numpy(), painted[0][0, 3:].numpy()
    source = picture().astype(np.float64) / 255.0
    meant = own.transpose(1, 2, 0) * colour.transpose(1, 2, 0)
    meant = meant + (1.0 - own.transpose(1, 2, 0)) * source[..., :3]
    paint = pixels(layer).astype(np.float64) / 255.0
    alpha = paint[..., 3:]
    composite = alpha * paint[..., :3] + (1.0 - alpha) * source[..., :3]
    assert np.abs(composite - meant).max() < 1.5 / 255.0
    assert 0.0 < alpha.mean() < 1.0


@pytest.mark.parametrize("method", METHODS)
def test_what_cannot_be_run_is_refused(method, models):
    with pytest.raises(VelaturaError) as caught:
        edit(method, prompt="a hat " * 40).run(models)
    assert caught.value.code == "prompt-too-long"
    with pytest.raises(VelaturaError) as caught:
        edit(method, draft=True).run(models)
    assert caught.value.code == "bad-request"
    plain = ModelStore([ModelEntry("vq", "VQ", "diffusers", "/nowhere", 64)])
    with pytest.raises(VelaturaError) as caught:
        edit(method).run(plain)
    assert caught.value.code == "unknown-model"
    assert not registry()[method].drafts


@pytest.mark.parametrize(
    ("field", "title"), [("place", "On"), ("paint", "Paint"), ("source_prompt", "Shown now")]
)
def test_the_refusal_of_a_long_text_names_its_field(field, title, models):
    asked = edit("text2live")
    asked.request["parameters"][field] = "a hat " * 40
    with pytest.raises(VelaturaError, match=f"^“{title}” is too long for this model's CLIP; shorten it"):
        asked.run(models)
