"""Training of the enlarger: the pictures that it learns from, its losses, and its bundle."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from velatura.companions.compact import Compact
from velatura.companions.enlarger import load_enlarger
from velatura_lab.cards import enlarger as card
from velatura_lab.training import details, enlarger
from velatura_lab.training.details import CHUNK, SCALE, SIZE, SMALL
from velatura_lab.training.loop import launch, load_checkpoint
from velatura_lab.training.options import Options


@pytest.fixture(scope="module")
def work(tmp_path_factory) -> Path:
    """A folder with one chunk of pictures."""
    folder = tmp_path_factory.mktemp("details")
    details.draw(folder, 7, CHUNK)
    return folder


def options(work: Path, samples: int, **changes) -> Options:
    return Options(work, samples=samples, pictures=CHUNK, processes=1, batch=2, **changes)


def test_a_small_picture_is_the_mean_of_the_large_one():
    large, small = details.details_of(np.random.default_rng([7, 0]))
    assert large.shape == (SIZE, SIZE, 3) and small.shape == (SMALL, SMALL, 3)
    mean = large.astype(float).reshape(SMALL, SCALE, SMALL, SCALE, 3).mean((1, 3))
    np.testing.assert_allclose(small, mean, atol=1.0)


def test_near_views_stay_in_the_scene():
    for seed in range(50):
        view = details.near_view(np.random.default_rng(seed))
        assert details.NEAR <= view.zoom <= details.FAR
        assert max(abs(view.x), abs(view.y)) + 1.0 / view.zoom <= 1.0


def test_drawing_goes_on_where_it_was_interrupted(work, monkeypatch):
    data = details.draw(work, 7, CHUNK)
    large, small = np.array(data.large), np.array(data.small)
    assert data.available().tolist() == list(range(CHUNK))
    assert np.abs(small[:, 0].astype(int) - small[:, 1]).max() > 5  # the autoencoder's is another
    data.drawn[:], data.small[:] = False, 0
    again = details.draw(work, 7, CHUNK)
    assert np.array_equal(again.large, large) and np.array_equal(again.small, small)
    monkeypatch.setattr(details, "details_of", None)
    details.draw(work, 7, CHUNK)  # all is there


def test_a_set_has_whole_chunks(tmp_path):
    with pytest.raises(ValueError, match="multiple of"):
        details.open_details(tmp_path, 7, CHUNK + 1)


def test_small_and_large_patches_show_the_same(work, monkeypatch):
    monkeypatch.setattr(enlarger, "DECODED", 0.0)
    monkeypatch.setattr(enlarger, "BLURRED", 0.0)
    data = details.draw(work, 7, CHUNK)
    small, large = enlarger.batch(data, np.arange(CHUNK), np.random.default_rng(0), 12)
    torch.testing.assert_close(F.avg_pool2d(large, SCALE), small, atol=0.005, rtol=0.0)
    monkeypatch.setattr(enlarger, "BLURRED", 1.0)
    soft, _ = enlarger.batch(data, np.arange(CHUNK), np.random.default_rng(0), 12)
    assert soft.diff(dim=3).abs().mean() < 0.9 * small.diff(dim=3).abs().mean()


def test_training_begins_with_bilinear_interpolation():
    torch.manual_seed(0)
    x = torch.rand(2, 3, 12, 10)
    y = enlarger.bilinear(Compact(features=8, convolutions=2))(x)
    expected = F.interpolate(x, scale_factor=SCALE, mode="bilinear")
    inside = (..., slice(SCALE, -SCALE), slice(SCALE, -SCALE))  # its convolutions see zeros outside
    torch.testing.assert_close(y[inside], expected[inside], atol=1e-5, rtol=0.0)


def test_fine_detail_is_compared_place_by_place_within_a_small_pixel():
    """Steps between small pixels and the same amount of detail everywhere are not the same."""
    ramp = torch.linspace(0.0, 1.0, 16).expand(1, 3, 16, 16)
    steps = F.interpolate(ramp, scale_factor=SCALE, mode="nearest")
    found = enlarger.roughness(steps)[..., 1:-1, 1:-1].mean((0, 2, 3)).reshape(SCALE, SCALE)
    assert (found[:, 1:3] == 0.0).all() and (found[:, [0, 3]] > 0.05).all()
    noise = torch.rand(1, 3, 256, 256, generator=torch.Generator().manual_seed(0))
    even = enlarger.roughness(noise)
    assert even.shape == (1, SCALE**2, 256 // enlarger.NEARBY, 256 // enlarger.NEARBY)
    places = even.mean((0, 2, 3))
    assert (places - places.mean()).abs().max() < 0.03 * places.mean()


def test_steps_between_small_pixels_are_an_error_and_invented_lines_are_hardly_one():
    ramp = torch.linspace(0.0, 1.0, 64).expand(1, 3, 64, 64)
    steps = F.interpolate(ramp[..., ::SCALE, ::SCALE], scale_factor=SCALE, mode="nearest") - ramp
    noise = torch.rand(steps.shape, generator=torch.Generator().manual_seed(0)) - 0.5
    noise *= steps.diff(dim=3).abs().mean() / noise.diff(dim=3).abs().mean()
    assert enlarger.grid(torch.zeros_like(steps)) == 0.0
    assert enlarger.grid(steps) > 1.5 * enlarger.grid(noise) > 0.0


def test_training_goes_on_bit_for_bit_with_all_of_its_losses(work, tmp_path, monkeypatch):
    monkeypatch.setattr(enlarger, "PLAIN", 0.4)
    path = work / "enlarger.pt"
    launch(enlarger.train_enlarger, options(work, 8, stop_after=0.0))
    first = load_checkpoint(path)
    assert first["samples"] == 2
    launch(enlarger.train_enlarger, options(work, 8))
    parted = load_checkpoint(path)
    path.unlink()
    launch(enlarger.train_enlarger, options(work, 8))
    whole = load_checkpoint(path)
    for state in ("model", "ema"):
        for name, value in whole[state].items():
            assert torch.equal(parted[state][name], value), (state, name)
    moved = [name for name, value in whole["model"].items() if not torch.equal(first["model"][name], value)]
    assert any(name.startswith("network.") for name in moved)
    assert any(name.startswith("critic.") for name in moved)

    card.export(work, tmp_path / "bundle", count=2, note="A note.")
    found = load_enlarger(tmp_path / "bundle", "cpu", torch.float32)
    assert found.scale == SCALE
    figures = json.loads((tmp_path / "bundle" / "figures.json").read_text())
    assert figures["bytes"] == (tmp_path / "bundle" / card.FILE).stat().st_size
    assert set(figures["figures"]) == {"bicubic", "velatura-enlarge"}
    text = (tmp_path / "bundle" / "README.md").read_text()
    assert "8 patches" in text and "A note." in text
    assert f"velatura train enlarger --work DIR --seed 7 --pictures {CHUNK} --samples 8" in text


def test_without_a_training_there_is_no_bundle(tmp_path):
    with pytest.raises(FileNotFoundError, match="velatura train enlarger"):
        card.export(tmp_path, tmp_path / "bundle")


def test_the_card_is_what_its_figures_say(tmp_path):
    figures = json.loads((card.BUNDLE / "figures.json").read_text())
    card.write_card(tmp_path, figures)
    assert (tmp_path / "README.md").read_text() == (card.BUNDLE / "README.md").read_text()
    assert sum(file.stat().st_size for file in card.BUNDLE.iterdir()) <= 1_500_000
