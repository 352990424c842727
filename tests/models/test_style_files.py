"""The folder of a style-based generator: what is written is read, and nothing else is taken."""

from __future__ import annotations

import json
import os
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.tiny_styles import tiny_model, tiny_parts, tiny_styles
from velatura.models import catalogue, style
from velatura.models.families.style_files import read, replace_segmentation, write
from velatura.models.families.style_generator import Styled
from velatura.models.families.style_segmentation import Segmentation
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError

pytestmark = pytest.mark.timeout(120)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    base = tmp_path_factory.mktemp("styles")
    return {latents: tiny_styles(base / str(latents), latents=latents) for latents in (False, True)}


@pytest.fixture
def folder(folders, tmp_path):
    return shutil.copytree(folders[True], tmp_path / "styles")


@pytest.mark.parametrize("latents", [False, True])
def test_what_is_written_is_read(folders, latents):
    before, after = tiny_parts(latents=latents), read(folders[latents])
    assert (after.shape, after.size, after.parts, after.label_names) == (
        before.shape,
        before.size,
        before.parts,
        before.label_names,
    )
    for name in ("generator", "encoder", "segmentation"):
        old, new = getattr(before, name).state_dict(), getattr(after, name).state_dict()
        assert old.keys() == new.keys() and all(torch.equal(old[key], new[key]) for key in old)
    if latents:
        torch.testing.assert_close(after.labels, before.labels, atol=1e-3, rtol=0)
        torch.testing.assert_close(after.mean, before.mean)
        torch.testing.assert_close(after.std, before.std)
    else:
        assert after.labels is after.mean is after.std is after.decoder is None
    assert style.recognise(folders[latents]) == 32


def test_half_precision_is_for_storage_only(tmp_path):
    write(tmp_path, tiny_parts(), torch.float16)
    stored = load_file(tmp_path / "generator.safetensors")
    assert {value.dtype for value in stored.values()} == {torch.float16}
    model = Styled("half", "half", read(tmp_path), torch.device("cpu"))
    ws = model.wplus(model.sample([1]))
    torch.testing.assert_close(model.decode(ws), tiny_model().decode(ws), atol=0.02, rtol=0)


def test_a_segmentation_is_replaced_by_one_of_the_same_features_alone(folder):
    before = read(folder)
    other = Segmentation(before.shape.channels, 2, 5)
    replace_segmentation(folder, other, ("hat", "rest"))
    after = read(folder)
    assert after.parts == ("hat", "rest") and torch.equal(after.segmentation.logits.bias, other.logits.bias)
    assert torch.equal(after.generator.mapping.w_avg, before.generator.mapping.w_avg)
    files = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    fewer = Segmentation(before.shape.channels[:-1], 2)
    with pytest.raises(ValueError, match="reads other features"):
        replace_segmentation(folder, fewer, ("hat", "rest"))
    assert files == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_part_that_is_gone_is_gone_from_the_folder(tmp_path):
    write(tmp_path, tiny_parts())
    write(tmp_path, tiny_parts(encoder=False, segmentation=False))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "generator.safetensors"]
    assert read(tmp_path).encoder is None


@pytest.mark.parametrize(
    "change",
    [
        {"_class_name": "StyleGAN3"},
        {"size": 64},
        {"size": 0},
        {"size": True},
        {"size": "32"},
        {"z_dim": -1},
        {"c_dim": 0},
        {"c_dim": 6},
        {"w_dim": 2**20},
        {"w_dim": 17},
        {"channels": []},
        {"channels": [16, 12, 9]},
        {"channels": [8192] * 10},
        {"channels": [16, 12] * 50},
        {"channels": 16},
        {"img_channels": 5},
        {"mapping_layers": 3},
        {"mapping_layers": 10**6},
        {"lr_multiplier": 0},
        {"lr_multiplier": "0.1"},
        {"lr_multiplier": 10**9},
        {"clamp": -1.0},
        {"labels": ["age"]},
        {"labels": [1, 2, 3, 4, 5]},
        {"latents": None},
        {"latents": {"mean": [0.0], "std": [1.0]}},
        {"latents": {"mean": [0.0, 0.0, 0.0, "0"], "std": [1.0] * 4}},
        {"latents": []},
        {"encoder": {"channels": [8, 8]}},
        {"encoder": {"channels": [8192] * 9}},
        {"encoder": {}},
        {"segmentation": {"width": 4096}},
        {"segmentation": None},
        {"parts": []},
        {"parts": ["face"]},
        {"parts": ["", "a", "b", "c"]},
        {"parts": ["a"] * 1000},
        {"more": 1},
    ],
)
def test_another_configuration_is_refused(folder, change):
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(ValueError):
        read(folder)


@pytest.mark.parametrize("name", ["generator", "encoder", "segmentation", "labels"])
def test_other_weights_are_refused(folder, name):
    path = folder / f"{name}.safetensors"
    weights = load_file(path)
    key = max(weights, key=lambda key: weights[key].numel())
    for changed in (
        {k: v for k, v in weights.items() if k != key},
        weights | {"more": torch.zeros(1)},
        weights | {key: weights[key][..., :-1].contiguous()},
        weights | {key: weights[key].to(torch.int32)},
    ):
        save_file(changed, path)
        with pytest.raises(ValueError, match=path.name):
            read(folder)
    path.unlink()
    if name != "labels":
        with pytest.raises(FileNotFoundError):
            read(folder)


def test_a_pipe_is_no_file_of_weights(folder):
    (folder / "generator.safetensors").unlink()
    os.mkfifo(folder / "generator.safetensors")
    with pytest.raises(ValueError, match="no regular file"):
        read(folder)


@pytest.mark.parametrize(
    "change",
    [
        {"_class_name": "AutoencoderKL"},
        {"latent_channels": 16},
        {"out_channels": 4},
        {"latent_channels": 2**24},
    ],
)
def test_another_decoder_is_refused(folder, change):
    path = folder / "decoder" / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises((ValueError, RuntimeError)):
        read(folder)


def test_a_broken_folder_is_told_to_the_person(folder, tmp_path):
    (folder / "generator.safetensors").write_bytes(b"none")
    catalogue.add(tmp_path / "state", "mine", str(folder))
    with pytest.raises(VelaturaError, match=r"cannot be read from .*; fetch it again or remove it"):
        ModelStore(lambda: catalogue.entries(tmp_path / "state")).get("mine")


def test_folders_of_other_models_are_not_recognised(folder, tmp_path):
    assert style.recognise(tmp_path) is None
    for size in (0, "32", 10**9, None, True):
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps(config | {"size": size}))
        assert style.recognise(folder) is None
