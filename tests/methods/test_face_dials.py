"""Sliders of a face on a tiny generator: what moves, what stays to the bit, what is kept, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image

from tests.methods.requests import Edit, Recorded
from tests.tiny_styles import tiny_model, tiny_styles
from velatura.cache.cache import Cache
from velatura.generators.styles import STYLE
from velatura.methods import shelving
from velatura.methods.base import Cancelled
from velatura.methods.execute import execute
from velatura.methods.registry import describe, offer, registry
from velatura.models.catalogue import EMBEDDED_COMPANIONS, ModelEntry
from velatura.models.store import ModelStore
from velatura.shelf import Dial, Shelf
from velatura.stylespace.applying import applied
from velatura.stylespace.replacing import replaced
from velatura_protocol.errors import VelaturaError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_styles(tmp_path_factory.mktemp("styles") / "model")


@pytest.fixture(scope="module")
def entry(folder):
    companions = {"segmenter": str(EMBEDDED_COMPANIONS["segmenter"])}
    return ModelEntry("faces", "Faces", "style", str(folder), 32, companions, generator=STYLE)


@pytest.fixture(scope="module")
def models(entry):
    return ModelStore([entry])


@pytest.fixture
def shelf(tmp_path):
    return Shelf(tmp_path / "shelf")


def picture(height=60, width=44):
    rgba = np.random.default_rng(5).integers(0, 255, (height // 4 + 1, width // 4 + 1, 4))
    rgba = rgba.repeat(4, 0).repeat(4, 1)[:height, :width]
    rgba[..., 3] = 255
    return rgba.astype(np.uint8)


def square(height=60, width=44):
    mask = np.zeros((height, width), np.uint8)
    mask[10:42, 6:38] = 255
    return mask


def dial(models, kind="direction", title="Beard", size=1.0, generator=None):
    model = models.get("faces")
    random = torch.Generator().manual_seed(3)
    if kind == "vector":
        tensors = {"ws": size * torch.randn(model.num_ws, model.w_dim, generator=random)}
    else:
        styles = model.styles(model.wplus(model.w_avg[None]))
        tensors = {f"s{i}": size * torch.randn(s.shape[1], generator=random) for i, s in enumerate(styles)}
    return Dial("", title, model.digest if generator is None else generator, kind, tensors, {})


def layers_of(models, shelf, *amounts, mask=True, source=None, hooks=None, cache=None, draft=False, **more):
    """The layers of a run. mask: an array, True for `square`, or False for none."""
    parameters = {
        "place": "selection",
        "dials": [{"dial": id, "amount": amount} for id, amount in amounts],
        **more,
    }
    source = picture() if source is None else source
    chosen = mask if isinstance(mask, np.ndarray) else square() if mask else None
    edit = Edit(source, chosen, method="face-dials", parameters=parameters, prompt="", draft=draft)
    cache = cache or Cache(memory=2**28)
    return execute(edit.request, edit.blobs.__getitem__, models, hooks or Recorded(), cache, shelf._folder)


def noted(models, shelf, *amounts):
    """The note on the result."""
    return layers_of(models, shelf, *amounts)[0].note


def run(models, shelf, *amounts, mask=True, source=None, hooks=None, draft=False, **more):
    """The result's pixels [h, w, 4] and its raster; of a draft the picture [h, w, 3]."""
    hooks = hooks or Recorded()
    layers = layers_of(models, shelf, *amounts, mask=mask, source=source, hooks=hooks, draft=draft, **more)
    if draft:
        return hooks.previews[-1][1]
    raster = layers[0].raster
    return np.frombuffer(layers[0].data, np.uint8).reshape(raster["height"], raster["width"], 4), raster


def over(result, source=None):
    """A result laid over its layer."""
    pixels, raster = result
    whole = (picture() if source is None else source).astype(float)
    x, y, w, h = raster["rect"]
    alpha = pixels[..., 3:] / 255.0
    whole[y : y + h, x : x + w, :3] += alpha * (pixels[..., :3] - whole[y : y + h, x : x + w, :3])
    return whole[..., :3]


def test_at_0_the_layer_stays_to_the_bit_and_the_slider_moves_it_from_there(models, shelf):
    id = shelf.keep(dial(models))
    still = over(run(models, shelf, (id, 0.0)))
    assert np.array_equal(still, picture()[..., :3])
    little, much = (np.abs(over(run(models, shelf, (id, amount))) - still).mean() for amount in (20.0, 100.0))
    assert 0.1 < little < much
    outside = square() == 0
    assert np.array_equal(over(run(models, shelf, (id, 100.0)))[outside], still[outside])


def test_the_face_is_the_generators_picture_of_the_moved_code(models, shelf, monkeypatch):
    """Against the formulas: styles of the encoder's code plus the amount times the direction; with the
    layer's own detail wherever the part stays the same."""
    seen = []
    from velatura.methods import facing

    back = facing.put_back
    monkeypatch.setattr(facing, "put_back", lambda *a: seen.append((a, back(*a))) or back(*a))
    kept = dial(models)
    run(models, shelf, (shelf.keep(kept), 50.0), reach=2.0)
    ((face, inputs, made), result) = seen[0]
    model = models.get("faces")
    styles = model.styles(model.encode(face.picture))
    moved = [s + 1.0 * kept.tensors[f"s{i}"] for i, s in enumerate(styles)]
    before, after = model.synthesise(styles), model.synthesise(moved)
    torch.testing.assert_close(made.pictures, after.pictures)
    change = after.pictures - before.pictures
    own = replaced(change, *(model.segment(one).softmax(1) for one in (before, after)))
    h, w = inputs.image.shape[-2:]
    a, b = face.frame.put(own, (h, w)), face.frame.put(own * before.pictures, (h, w))
    expected = (inputs.image * (1.0 - a) + b + face.frame.put(change, (h, w))).clamp(-1.0, 1.0)
    torch.testing.assert_close(result, expected, atol=5e-5, rtol=0.0)


def test_several_sliders_add_up_in_any_order(models):
    model = tiny_model()
    ws = model.encode(torch.rand(2, 3, 32, 32) * 2.0 - 1.0)
    a, b = dial(models, size=0.3), dial(models, "vector", size=0.3)
    one, other = applied(model, ws, [(a, 0.5), (b, -0.7)]), applied(model, ws, [(b, -0.7), (a, 0.5)])
    expected = model.styles(ws - 0.7 * b.tensors["ws"])
    for i, (x, y, s) in enumerate(zip(one, other, expected, strict=True)):
        torch.testing.assert_close(x, y)
        torch.testing.assert_close(x, s + 0.5 * a.tensors[f"s{i}"])


def test_a_draft_is_the_result(models, shelf):
    id = shelf.keep(dial(models))
    draft = run(models, shelf, (id, 60.0), mask=False, draft=True)
    whole = over(run(models, shelf, (id, 60.0), mask=False))
    assert draft.shape[0] * 44 == pytest.approx(draft.shape[1] * 60, rel=0.1)
    shrunk = Image.fromarray(whole.round().astype(np.uint8)).resize(draft.shape[1::-1], Image.BICUBIC)
    assert np.abs(draft.astype(float) - np.asarray(shrunk)).mean() < 6.0


def test_a_face_is_read_once_a_layer_and_studied_to_the_same_bytes_after_a_stop(models, shelf, tmp_path):
    id = shelf.keep(dial(models))
    study = {"refine": 6, "learn": 4}
    whole = run(models, shelf, (id, 80.0), **study)[0]
    cache = Cache(tmp_path / "kept", memory=2**28, disk=2**28)
    for stop in (4, 5):  # in the refinement, then in the tuning
        with pytest.raises(Cancelled):
            run(models, shelf, (id, 80.0), hooks=Recorded(cancel_after=stop), cache=cache, **study)
        cache.release()  # only the folder remains
    hooks = Recorded()
    assert np.array_equal(run(models, shelf, (id, 80.0), hooks=hooks, cache=cache, **study)[0], whole)
    assert hooks.during.count("Refining the likeness") < 6
    again = Recorded()
    run(models, shelf, (id, 30.0), hooks=again, cache=cache, **study)
    assert not {"Refining the likeness", "Learning this face"} & set(again.during)
    plain = run(models, shelf, (id, 80.0))[0]
    assert not np.array_equal(plain, whole)


@pytest.mark.parametrize(("height", "width"), [(60, 44), (31, 93), (260, 200)])
def test_layers_of_any_size(models, shelf, height, width):
    id = shelf.keep(dial(models))
    source = picture(height, width)
    result = over(run(models, shelf, (id, 100.0), mask=False, source=source), source)
    assert result.shape == source[..., :3].shape
    assert np.abs(result - source[..., :3]).max() > 5


def test_a_model_whose_own_pictures_have_no_faces_is_refused_with_a_way_out(models, shelf):
    id = shelf.keep(dial(models))
    with pytest.raises(VelaturaError, match=r"makes no faces .*“Where the selection is”"):
        run(models, shelf, (id, 50.0), place="found")


def test_a_selection_too_small_for_a_face_is_refused(models, shelf):
    id, speck = shelf.keep(dial(models)), np.zeros((60, 44), np.uint8)
    speck[20:27, 30:36] = 255
    with pytest.raises(VelaturaError, match="too small for a face") as caught:
        run(models, shelf, (id, 50.0), mask=speck)
    assert caught.value.code == "empty-mask"


def test_a_result_in_which_nothing_changes_says_so(models, shelf):
    id = shelf.keep(dial(models))
    assert noted(models, shelf, (id, 0.0)).startswith("Nothing changes where it is selected")
    assert noted(models, shelf, (id, 50.0)) == ""


def test_a_slider_of_another_model_or_of_none_is_refused(models, shelf):
    foreign = shelf.keep(dial(models, generator="blake2b:other"))
    with pytest.raises(VelaturaError, match="'Beard' was made for another model"):
        run(models, shelf, (foreign, 50.0))
    with pytest.raises(VelaturaError, match="no slider 'gone'; choose another slider, or the model it"):
        run(models, shelf, ("gone", 50.0))
    with pytest.raises(VelaturaError, match="No slider is chosen"):
        run(models, shelf, ("", 50.0))


@pytest.mark.parametrize(
    ("kind", "shapes"),
    [
        ("vector", {"ws": (2, 3)}),
        ("vector", {"ws": ()}),
        ("vector", {"ws": (2, "num_ws", "w_dim")}),
        ("direction", {"s0": ()}),
        ("direction", {"s0": (2, "s0")}),
        ("mapper", {"split": (3,)}),
        ("mapper", {"split": (3,), "fine.0.weight": (1,), "fine.0.bias": ()}),
        ("mapper", {"split": (3,), "fine.0.weight": (1,), "fine.0.bias": (9**6,)}),
    ],
)
def test_a_slider_of_other_shapes_is_refused(models, shelf, kind, shapes):
    model = models.get("faces")
    sizes = {"num_ws": model.num_ws, "w_dim": model.w_dim}
    sizes["s0"] = model.styles(model.wplus(model.w_avg[None]))[0].shape[1]
    tensors = {name: torch.ones([sizes.get(n, n) for n in shape]) for name, shape in shapes.items()}
    misfit = Dial("", "Long", model.digest, kind, tensors, {})
    with pytest.raises(VelaturaError, match="'Long' was made for another model"):
        run(models, shelf, (shelf.keep(misfit), 50.0))


def choices_of(answer):
    (method,) = (m for m in answer["methods"] if m["id"] == "face-dials")
    group = method["parameters"]["properties"]["dials"]
    return group["items"]["properties"]["dial"], group["description"]


def test_the_form_offers_the_dials_of_the_models_that_are_there(models, entry, tmp_path):
    described = [describe(method) for method in registry().values()]
    shelf = Shelf(tmp_path / "shelf")
    field, told = choices_of(offer(described, [entry], shelving.choices(tmp_path, [entry])))
    assert field["enum"] == [""] and "No sliders are kept yet" in told
    own, foreign = shelf.keep(dial(models)), shelf.keep(dial(models, title="Hat", generator="blake2b:gone"))
    field, told = choices_of(offer(described, [entry], shelving.choices(tmp_path, [entry])))
    assert field["enum"] == ["", own, foreign], "the model's files are not read yet: it may be its own"
    assert told.startswith("What changes")
    ModelStore([entry], memory=tmp_path / "digests.json").get("faces")
    field, _ = choices_of(offer(described, [entry], shelving.choices(tmp_path, [entry])))
    assert (field["enum"], field["x-enum-titles"][1:]) == (["", own], ["Beard"])
    assert "maxLength" not in field and shelving.MARK not in field
    assert shelving.choices(tmp_path, []) == []


def test_dials_that_ship_are_named_with_their_model_where_there_are_several(models, entry, folder, tmp_path):
    shipped = Shelf(folder / "dials").keep(dial(models, title="Smile", generator=""))
    try:
        other = ModelEntry(
            "more", "More faces", "style", str(tiny_styles(tmp_path / "more", seed=1)), 32, generator=STYLE
        )
        for one in (entry, other):
            ModelStore([one], memory=tmp_path / "digests.json").get(one.id)
        digest = ModelStore([other]).get("more").digest
        own = Shelf(tmp_path / "shelf").keep(dial(models, generator=digest))
        found = shelving.choices(tmp_path, [entry, other])
        assert found == [(own, "Beard (More faces)"), (shipped, "Smile (Faces)")]
        assert ModelStore([entry]).get("faces").digest == models.get("faces").digest, "no part of the model"
        over(run(models, Shelf(tmp_path / "shelf"), (shipped, 100.0)))
    finally:
        Shelf(folder / "dials")._folder.joinpath(f"{shipped}.dial.safetensors").unlink()
