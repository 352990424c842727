"""The model of pixel space: its training resumes, and its bundle, figures and card are written from it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from velatura.models import catalogue, pixels
from velatura_lab.cards import pixels as card
from velatura_lab.training.data import load_dataset
from velatura_lab.training.loop import launch, load_checkpoint
from velatura_lab.training.networks import PROFILES
from velatura_lab.training.options import Options
from velatura_lab.training.pixels import export_pixels, train_pixels


@pytest.fixture(scope="module")
def options(tmp_path_factory):
    work = tmp_path_factory.mktemp("work")
    profile = replace(PROFILES["cpu"], size=32)
    return Options(
        work, seed=3, samples=8, pictures=6, processes=1, batch=4, profile=profile, kind="portrait"
    )


@pytest.fixture(scope="module")
def trained(options):
    launch(train_pixels, options)
    return options.work


def test_all_pictures_are_of_the_parts_kind(options, trained):
    data = load_dataset(trained, 3, 6, 1, 32, "portrait")
    assert {data.scene(i).kind for i in range(6)} == {"portrait"}
    assert "portrait" in data.folder.name and np.asarray(data.pictures).std() > 0.0


def test_a_run_of_so_many_pictures_is_recorded(options, trained):
    state = load_checkpoint(trained / "pixels.pt")
    assert state is not None and state["samples"] == 8 and state["profile"]["size"] == 32


def test_the_bundle_is_a_model_with_figures_samples_and_a_card(trained, tmp_path):
    card.export(trained, tmp_path / "velatura-pixels", seed=5, count=2)
    entry = catalogue.add(tmp_path / "state", "mine", str(tmp_path / "velatura-pixels"))
    assert (entry.kind, entry.size) == ("pixels", 32)
    model = pixels.load(tmp_path / "velatura-pixels", "mine", "", torch.device("cpu"), torch.float32)
    assert model.size == 32 and model.patch == 2
    figures = json.loads((tmp_path / "velatura-pixels" / "figures.json").read_text())
    assert list(figures["figures"]["restored"]) == ["0.25", "0.5", "0.75"]
    text = (tmp_path / "velatura-pixels" / "README.md").read_text()
    assert "velatura train pixels --work DIR --seed 3 --pictures 6 --samples 8 --processes 1" in text
    with Image.open(tmp_path / "velatura-pixels" / "samples.png") as sheet:
        assert sheet.size == (128, 64)


def test_without_a_checkpoint_there_is_no_bundle(tmp_path):
    with pytest.raises(FileNotFoundError, match="velatura train pixels"):
        export_pixels(tmp_path, tmp_path / "bundle")


def test_the_shipped_model_restores_portraits_as_its_card_says():
    model = pixels.load(card.BUNDLE, "velatura-pixels", "", torch.device("cpu"), torch.float32)
    figures = json.loads((card.BUNDLE / "figures.json").read_text())
    size = (card.BUNDLE / "unet" / "diffusion_pytorch_model.safetensors").stat().st_size
    assert model.size == figures["size"] == 64 and size <= 5_000_000
    few = card.restored(model, figures["seed"], 8)
    for share, (sigma, psnr) in figures["figures"]["restored"].items():
        assert few[share][0] == sigma and abs(few[share][1] - psnr) < 1.5
