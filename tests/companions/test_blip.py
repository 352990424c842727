"""What says what a picture shows: read, compared with transformers' own, kept and let go."""

from __future__ import annotations

import json

import pytest
import torch
from transformers import BlipForConditionalGeneration

from tests.tiny import tiny_blip, tiny_model
from velatura.companions.blip import load_captioner
from velatura.models.catalogue import EMBEDDED_COMPANIONS, ModelEntry
from velatura.models.store import ModelStore
from velatura_lab.readers.captions import WorldCaptioner
from velatura_protocol.errors import VelaturaError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_blip(tmp_path_factory.mktemp("blip"))


def picture(height=30, width=50):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))


def caption(captioner, image, step=lambda i, n: None):
    with torch.inference_mode():
        return captioner.captions(image, step)


def test_captions_are_those_of_transformers(folder):
    blip = load_captioner(str(folder), CPU, torch.float32)
    network = BlipForConditionalGeneration.from_pretrained(folder).eval()
    stretched = torch.nn.functional.interpolate(picture(), (24, 24), mode="bilinear", antialias=True)
    pixels = (stretched - 0.5) / blip.processing.std
    found = network.generate(pixels, num_beams=4, num_return_sequences=3, max_length=40, do_sample=False)
    expected = [blip.tokenizer.decode(one, skip_special_tokens=True) for one in found]
    said = caption(blip, picture())
    assert said == list(dict.fromkeys(expected))
    assert len(said) > 1 and all(text and "[" not in text for text in said)


def test_the_same_picture_has_the_same_captions_and_steps_end(folder):
    blip = load_captioner(str(folder), CPU, torch.float32)
    steps = []
    first = caption(blip, picture(), lambda i, n: steps.append((i, n)))
    assert first == caption(blip, picture())
    assert steps == sorted(steps) and 0 < steps[0][0] <= steps[-1][0] <= steps[-1][1]


def test_it_stops_when_it_is_told(folder):
    class Enough(Exception):
        pass

    seen = []

    def stop(i, n):
        seen.append(i)
        if len(seen) == 3:
            raise Enough

    with pytest.raises(Enough):
        caption(load_captioner(str(folder), CPU, torch.float32), picture(), stop)
    assert len(seen) == 3


def test_half_precision_has_words_too(folder):
    assert caption(load_captioner(str(folder), CPU, torch.bfloat16), picture())


def test_a_judge_is_told_by_what_lies_in_its_folder():
    judge = load_captioner(str(EMBEDDED_COMPANIONS["captioner"]), CPU, torch.float32)
    assert isinstance(judge, WorldCaptioner)


@pytest.mark.parametrize("wrong", ["empty", "another kind", "no weights", "odd pictures"])
def test_what_is_no_captioner_is_refused(folder, tmp_path, wrong):
    if wrong != "empty":
        (tmp_path / "config.json").write_text((folder / "config.json").read_text())
    if wrong == "another kind":
        (tmp_path / "config.json").write_text('{"model_type": "clip"}')
    if wrong == "odd pictures":
        for file in folder.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        said = {"size": {"height": 24, "width": 32}}
        (tmp_path / "preprocessor_config.json").write_text(json.dumps(said))
    with pytest.raises(VelaturaError) as refusal:
        load_captioner(str(tmp_path), CPU, torch.float32)
    assert refusal.value.code == "unknown-model" and str(tmp_path) in refusal.value.message


def test_the_store_loads_it_when_asked_and_drops_it_with_its_model(folder, tmp_path):
    paths = [tiny_model(tmp_path / name, seed=i) for i, name in enumerate("ab")]
    entries = [ModelEntry(p.name, p.name, "diffusers", str(p), 64, {"captioner": str(folder)}) for p in paths]
    store = ModelStore([*entries, ModelEntry("c", "c", "diffusers", str(paths[0]), 64)])
    assert store.companion("captioner") is None  # no model is loaded
    store.get("a")
    first = store.companion("captioner")
    assert first is store.companion("captioner") and store.companion("segmenter") is None
    store.get("b")
    assert store.companion("captioner") is not first
    store.get("c")
    assert store.companion("captioner") is None  # none belongs to it
