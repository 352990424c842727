"""What a model's files say is bounded when it is read: such a model is refused, and no other suffers."""

from __future__ import annotations

import json
import os
import shutil
import struct

import numpy as np
import pytest
import torch

from tests.tiny import tiny_model
from velatura.companions.opening import opened
from velatura.companions.processing import read_processing
from velatura.models import catalogue, headers
from velatura.models.noise_levels import scheduled_betas
from velatura.models.store import ModelStore
from velatura.weights.digests import Digests
from velatura.weights.json_files import MAX_DEPTH, read_json
from velatura_protocol.errors import VelaturaError

pytestmark = pytest.mark.timeout(120)

SIXTY = json.dumps({"_class_name": "AutoencoderKL", "block_out_channels": [64] * 60})
DEEP = "[" * 100_000 + "]" * 100_000
NOT_JSON = {
    "infinite": '{"sample_size": 1e999}',
    "not a number": '{"sample_size": NaN}',
    "beyond 2^53": '{"sample_size": 99999999999999999999}',
    "of ten thousand digits": '{"sample_size": %s}' % ("9" * 10_000),
    "deep": DEEP,
    "deep within": '{"a": %s}' % ("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1)),
    "a list": "[3]",
    "nothing": "",
    "long": '{"a": "%s"}' % ("x" * 2_000_000),
    "no text": "\udcff",
}
ODD = [
    ("vae", SIXTY),
    ("vae", '{"block_out_channels": 60}'),
    ("vae", '{"block_out_channels": "wide"}'),
    ("unet", '{"sample_size": 1e300}'),
    ("unet", '{"sample_size": 1000000000}'),
    ("unet", '{"sample_size": -64}'),
    ("unet", '{"sample_size": true}'),
    ("unet", '{"sample_size": "64"}'),
    ("unet", '{"sample_size": []}'),
    ("unet", '{"sample_size": [64, 1e5]}'),
    ("unet", '{"sample_size": {"a": 1}}'),
    *((part, text) for part in ("unet", "vae") for text in NOT_JSON.values()),
]


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("good") / "model")


@pytest.fixture
def model(good, tmp_path):
    """A copy to spoil."""
    shutil.copytree(good, tmp_path / "model")
    return tmp_path / "model"


def write(path, text):
    path.unlink(missing_ok=True)
    path.write_bytes(text.encode("utf-8", "surrogateescape"))


def refusal(state_dir, id="bad"):
    with pytest.raises(VelaturaError) as refused:
        ModelStore(lambda: catalogue.entries(state_dir), torch.device("cpu")).get(id)
    assert refused.value.code == "unknown-model"
    return refused.value


@pytest.mark.parametrize(("part", "text"), ODD, ids=[f"{part} {text:.40}" for part, text in ODD])
def test_a_model_that_makes_no_sense_is_listed_with_a_fault_and_hides_no_other(tmp_path, model, part, text):
    catalogue.add(tmp_path, "bad", str(model))
    write(model / part / "config.json", text)
    bad, embedded, *_ = catalogue.entries(tmp_path)
    assert (bad.id, embedded.id, embedded.fault) == ("bad", "velatura-mini", "")
    assert part in bad.fault and "fetch it again or remove it" in bad.fault
    assert 0 < bad.size <= 16384
    assert refusal(tmp_path).message == bad.fault
    with pytest.raises(VelaturaError) as refused:
        catalogue.add(tmp_path, "again", str(model))
    assert refused.value.code == "unknown-model"
    catalogue.remove(tmp_path, "bad")  # as it says
    assert [entry.id for entry in catalogue.entries(tmp_path)] == list(catalogue.EMBEDDED)


def test_a_pipe_in_place_of_a_file_is_not_waited_for(tmp_path, model):
    catalogue.add(tmp_path, "bad", str(model))
    (model / "unet" / "config.json").unlink()
    os.mkfifo(model / "unet" / "config.json")
    assert "not a file" in catalogue.entries(tmp_path)[0].fault


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("unet/config.json", {"layers_per_block": 10**6}),
        ("unet/config.json", {"cross_attention_dim": 10**12}),
        ("unet/config.json", {"block_out_channels": [32] * 1000}),
        ("text_encoder/config.json", {"num_hidden_layers": 10**9}),
        ("text_encoder/config.json", {"vocab_size": 10**9}),
        ("scheduler/scheduler_config.json", {"num_train_timesteps": 10**12}),
        ("scheduler/scheduler_config.json", {"trained_betas": [0.1] * 100_000}),
        ("scheduler/scheduler_config.json", {"beta_end": 5.0}),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_network_that_would_never_be_built_is_refused(tmp_path, model, file, text):
    catalogue.add(tmp_path, "bad", str(model))
    known = json.loads((model / file).read_text())
    (model / file).write_text(json.dumps(known | text))
    assert "cannot be read" in refusal(tmp_path).message


@pytest.mark.parametrize("name", ["tokenizer/vocab.json", "tokenizer/merges.txt", "unet/notes.txt"])
def test_a_text_that_never_ends_is_not_read(tmp_path, model, name):
    catalogue.add(tmp_path, "bad", str(model))
    (model / name).unlink(missing_ok=True)
    (model / name).symlink_to("/dev/zero")
    assert name in refusal(tmp_path).detail


@pytest.mark.parametrize("text", NOT_JSON.values(), ids=NOT_JSON)
def test_a_companion_that_makes_no_sense_is_refused(tmp_path, text):
    write(tmp_path / "config.json", text)
    with pytest.raises(VelaturaError) as refused, opened("CLIP", tmp_path):
        raise AssertionError
    assert refused.value.code == "unknown-model"


@pytest.mark.parametrize("size", [0, -1, 10**9, "64", {"height": 2**40}, {"height": None}])
def test_an_image_processor_that_makes_no_sense_is_refused(tmp_path, size):
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"size": size or -3}))
    with pytest.raises(ValueError):
        read_processing(tmp_path, 64)


@pytest.mark.parametrize("text", [DEEP, "[1]", '{"a": 1}', "{", ""])
def test_damaged_digests_are_made_again(tmp_path, text):
    memory, file = tmp_path / "digests.json", tmp_path / "weights"
    memory.write_text(text)
    file.write_bytes(b"weights")
    assert Digests(memory).of([file]) == Digests(None).of([file])
    assert Digests(memory).of([file]) == Digests(None).of([file])


def test_digests_that_cannot_be_noted_down_do_not_matter(tmp_path):
    file = tmp_path / "weights"
    file.write_bytes(b"weights")
    assert Digests(tmp_path / "gone" / "digests.json").of([file]) == Digests(None).of([file])


@pytest.mark.parametrize(
    "entries",
    [
        {"a": {"shape": [10**9, 10**9]}},
        {"a": {"shape": [1.5]}},
        {"a": {"shape": [-1]}},
        {"a": {"shape": 3}},
        {str(i): {"shape": []} for i in range(30_000)},
        {"__metadata__": {"modelspec.prediction_type": 3}},
        {"__metadata__": 3},
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_header_that_no_file_can_have_is_refused(tmp_path, entries):
    header = json.dumps(entries).encode()
    path = tmp_path / "model.safetensors"
    path.write_bytes(struct.pack("<Q", len(header)) + header + b"x" * 100)
    with pytest.raises(VelaturaError) as refused:
        headers.read_header(path)
    assert refused.value.code == "unknown-model"


LISTS = [
    *NOT_JSON.values(),
    '[{"id": "\\ud800", "path": "/"}]',
    '[{"id": "a", "path": "/\\u0000"}]',
    '[{"id": 1}]',
    json.dumps([{"id": "a", "path": "/"}] * 101),
    json.dumps([{"id": "a" * 81, "path": "/"}]),
]


@pytest.mark.parametrize("text", LISTS, ids=[text[:30] for text in LISTS])
def test_a_list_of_models_that_makes_no_sense_is_told(tmp_path, text):
    write(tmp_path / "models.json", text)
    with pytest.raises(VelaturaError, match="mend or delete"):
        catalogue.entries(tmp_path)
    (tmp_path / "models.json").unlink()  # as it says
    assert catalogue.entries(tmp_path)


def test_schedules_that_are_published_are_taken():
    assert len(scheduled_betas({})) == 1000
    assert len(scheduled_betas({"beta_schedule": "squaredcos_cap_v2", "num_train_timesteps": 50})) == 50
    assert np.allclose(scheduled_betas({"trained_betas": [0.0, 0.5, 1.0]}), [0.0, 0.5, 1.0])


def test_what_is_published_is_read(good):
    assert read_json(good / "unet" / "config.json")["_class_name"] == "UNet2DConditionModel"
