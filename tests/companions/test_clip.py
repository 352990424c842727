"""The CLIP beside a model: read, compared with transformers' own, kept and let go."""

from __future__ import annotations

import json

import pytest
import torch
import torch.nn.functional as F
from transformers import CLIPModel, CLIPTokenizer

from tests.tiny import tiny_clip, tiny_model
from velatura.companions.clip import load_encoder
from velatura.models import catalogue
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_clip(tmp_path_factory.mktemp("clip"), words=20)


def test_its_logits_are_those_of_transformers(folder):
    encoder = load_encoder(str(folder), CPU, torch.float32)
    pictures = torch.rand(3, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    tokens = CLIPTokenizer.from_pretrained(folder)("a red hat", return_tensors="pt")
    pixels = encoder.processing(pictures)
    with torch.inference_mode():
        expected = (
            CLIPModel.from_pretrained(folder).eval()(pixel_values=pixels, **tokens).logits_per_image[:, 0]
        )
    found = encoder.scale * encoder.images(pictures) @ encoder.text("a red hat")
    torch.testing.assert_close(found, expected)


def test_it_takes_the_statistics_of_its_own_pictures(folder, tmp_path):
    (tmp_path / "clip").mkdir()
    for file in folder.iterdir():
        (tmp_path / "clip" / file.name).symlink_to(file)
    said = {"image_mean": [0.5, 0.4, 0.3], "image_std": [0.2, 0.2, 0.1]}
    (tmp_path / "clip" / "preprocessor_config.json").write_text(json.dumps(said))
    encoder = load_encoder(str(tmp_path / "clip"), CPU, torch.float32)
    assert encoder.processing.mean.flatten().tolist() == pytest.approx(said["image_mean"])
    assert encoder.processing.std.flatten().tolist() == pytest.approx(said["image_std"])


def test_a_sentence_that_it_does_not_read_whole_has_no_vector(folder):
    encoder = load_encoder(str(folder), CPU, torch.float32)
    assert encoder.text("x" * 18) is not None  # a token a letter, and the two marks
    assert encoder.text("x" * 19) is None


def test_many_sentences_at_once_are_as_each_alone_and_cut_to_what_it_reads(folder):
    encoder = load_encoder(str(folder), CPU, torch.float32)
    sentences = ["a red hat", "x", "y " * 18, "y " * 40]
    found = encoder.texts(sentences)
    torch.testing.assert_close(found[:3], torch.stack([encoder.text(s) for s in sentences[:3]]))
    assert torch.equal(found[2], found[3])


def test_pictures_of_any_size_are_brought_to_its_own(folder):
    encoder = load_encoder(str(folder), CPU, torch.float32)
    ramp = torch.linspace(0.0, 1.0, 64).expand(1, 3, 48, 64)
    small = F.interpolate(ramp, (32, 32), mode="area")
    assert float(encoder.images(ramp)[0] @ encoder.images(small)[0]) > 0.999
    assert encoder.similarity(torch.cat([ramp, 1.0 - ramp]), ["a", "b", "c"]).shape == (2, 3)


def test_pictures_can_be_led_by_words(folder):
    """One step along the gradient makes pictures fit the words better; the networks stay as they are."""
    encoder = load_encoder(str(folder), CPU, torch.float32)
    pictures = torch.rand(2, 3, 40, 40, generator=torch.Generator().manual_seed(0)).requires_grad_()
    before = encoder.similarity(pictures, ["a red hat"])
    (gradient,) = torch.autograd.grad(before.sum(), pictures)
    after = encoder.similarity(pictures + 0.1 * gradient / gradient.abs().max(), ["a red hat"])
    assert (after > before).all()
    assert not any(parameter.requires_grad for parameter in encoder.network.parameters())


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_nearly_the_same(folder, dtype):
    exact, rough = (load_encoder(str(folder), CPU, d) for d in (torch.float32, dtype))
    pictures = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(rough.images(pictures), exact.images(pictures), atol=0.02, rtol=0)


@pytest.mark.parametrize("wrong", ["empty", "another kind", "no weights"])
def test_what_is_no_clip_is_refused(folder, tmp_path, wrong):
    if wrong != "empty":
        (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    if wrong == "another kind":
        (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    with pytest.raises(VelaturaError) as refusal:
        load_encoder(str(tmp_path), CPU, torch.float32)
    assert refusal.value.code == "unknown-model" and str(tmp_path) in refusal.value.message


def test_the_store_loads_it_when_asked_and_drops_it_with_its_model(folder, tmp_path):
    models = [tiny_model(tmp_path / name, seed=i) for i, name in enumerate("ab")]
    entries = [ModelEntry(p.name, p.name, "diffusers", str(p), 64, {"clip": str(folder)}) for p in models]
    store = ModelStore([entries[0], entries[1], ModelEntry("c", "c", "diffusers", str(models[0]), 64)])
    assert store.companion("clip") is None  # no model is loaded
    store.get("a")
    first = store.companion("clip")
    assert first is store.companion("clip")
    store.get("b")
    assert store.companion("clip") is not first
    store.unload()
    assert store.companion("clip") is None
    store.get("c")
    assert store.companion("clip") is None  # none belongs to it


def test_a_model_is_named_with_its_clip(folder, tmp_path):
    model = tiny_model(tmp_path / "model")
    added = catalogue.add(tmp_path, "mine", str(model), companions={"clip": str(folder)})
    assert (added.companions["clip"], added.defaults) == (str(folder), {"guidance": 7.5})
    assert catalogue.entries(tmp_path)[0] == added
    catalogue.add(tmp_path, "other", str(model), companions={"clip": "owner/name"}, guidance=5.0)
    assert catalogue.entries(tmp_path)[0].companions.get("clip", "") == "owner/name"
    assert catalogue.entries(tmp_path)[0].defaults == {"guidance": 5.0}


def test_a_clip_inside_a_models_folder_belongs_to_it(tmp_path):
    model = tiny_model(tmp_path / "model")
    assert catalogue.add(tmp_path, "without", str(model)).companions.get("clip", "") == ""
    tiny_clip(model / "clip")
    assert catalogue.entries(tmp_path)[0].companions.get("clip", "") == str(model / "clip")


def test_the_embedded_clip_belongs_to_the_embedded_model_only(tmp_path, monkeypatch, folder):
    monkeypatch.setitem(catalogue.EMBEDDED_COMPANIONS, "clip", folder)
    embedded, *others = catalogue.entries(tmp_path)
    assert all(other.companions.get("clip") == str(folder) for other in others)
    assert (embedded.id, embedded.companions.get("clip")) == (catalogue.EMBEDDED_ID, str(folder))
    assert embedded.defaults == {"guidance": 3.0}
    model = tiny_model(tmp_path / "model")
    assert catalogue.add(tmp_path, "mine", str(model)).companions.get("clip", "") == ""
    with pytest.raises(VelaturaError, match="knows only the pictures of velatura-mini"):
        catalogue.add(tmp_path, "again", str(model), companions={"clip": str(folder)})


@pytest.mark.parametrize("path", ["/nowhere", "no such thing"])
def test_a_clip_that_is_not_there_is_refused(tmp_path, path):
    model = tiny_model(tmp_path / "model")
    with pytest.raises(VelaturaError, match="There is no model at"):
        catalogue.add(tmp_path, "mine", str(model), companions={"clip": path})
    with pytest.raises(VelaturaError, match="is a file"):
        catalogue.add(tmp_path, "mine", str(model), companions={"clip": str(model / "model_index.json")})
    assert all(entry.id in catalogue.EMBEDDED for entry in catalogue.entries(tmp_path))
