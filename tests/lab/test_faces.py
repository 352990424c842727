"""The style-based generator of portraits: its training resumes, its bundle, figures and card come of it."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from velatura.models.families import files
from velatura.models.families.styled import Styled
from velatura_lab.cards import faces as card
from velatura_lab.exam import faces as exam
from velatura_lab.readers import load_judge
from velatura_lab.training.embedded_vae import as_images
from velatura_lab.training.encoder import framed, train_encoder, windowed
from velatura_lab.training.faces import bank, load_faces
from velatura_lab.training.generator import train_generator
from velatura_lab.training.loop import launch, load_checkpoint
from velatura_lab.training.options import Options
from velatura_lab.training.portraits import draw_all, open_portraits, textured
from velatura_lab.training.segmentation import train_segmentation, weights
from velatura_lab.world import render
from velatura_lab.world.portrait.description import describe, names
from velatura_lab.world.portrait.scene import ELEMENTS

PARTS = {"generator": train_generator, "encoder": train_encoder, "segmentation": train_segmentation}
PICTURES = 50  # one chunk


def options(work, samples, **changes):
    return Options(
        work, seed=3, samples=samples, pictures=PICTURES, processes=1, batch=4, rate=1e-3, **changes
    )


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A folder in which a tiny set is drawn."""
    work = tmp_path_factory.mktemp("faces")
    draw_all(options(work, 0), textured_too=True)
    return work


@pytest.fixture(scope="module")
def trained(drawn):
    """The same folder after three steps of each part, two of them in a call of their own."""
    for name, worker in PARTS.items():
        launch(worker, options(drawn, 12, stop_after=0.0))
        assert load_checkpoint(drawn / f"{name}.pt")["samples"] == 4, name
        launch(worker, options(drawn, 12))
    return drawn


def test_a_textured_portrait_has_its_own_texture_and_the_same_description(drawn):
    plain = open_portraits(drawn, 3, PICTURES)
    own = open_portraits(drawn, 3, textured(PICTURES), textured=True)
    assert len(plain.available()) == len(own.available()) == PICTURES
    assert {plain.scene(i).identity.texture for i in range(5)} == {0}
    assert len({own.scene(i).identity.texture for i in range(5)}) == 5
    np.testing.assert_array_equal(plain.descriptions, own.descriptions)
    for data in (plain, own):
        exact = render(data.scene(2), 128)
        np.testing.assert_array_equal(data.pictures[2], exact.to_bytes())
        np.testing.assert_array_equal(data.labels[2], exact.masks.argmax(0))
    assert not np.array_equal(plain.pictures[2], own.pictures[2])


@pytest.mark.parametrize("part", PARTS)
def test_a_part_goes_on_bit_for_bit(trained, part, tmp_path):
    parted = load_checkpoint(trained / f"{part}.pt")
    for path in trained.iterdir():
        if path.name not in (f"{part}.pt", "lock"):
            (tmp_path / path.name).symlink_to(path)
    launch(PARTS[part], options(tmp_path, 12))
    whole = load_checkpoint(tmp_path / f"{part}.pt")
    assert (whole["samples"], whole["count"]) == (12, 3)
    for key, value in whole["ema"].items():
        assert torch.equal(parted["ema"][key], value), key


def test_the_frozen_generator_is_the_trained_one(trained):
    faces = load_faces(trained, torch.device("cpu"))
    data = open_portraits(trained, 3, PICTURES)
    c = torch.from_numpy(data.descriptions[:3])
    made = faces.synthesised(faces.wplus(faces.w(c)))
    torch.testing.assert_close(made.picture, faces.latent(c))
    torch.testing.assert_close(faces.w_avg, faces.w(bank()).mean(0))
    assert [x.shape[-1] for x in made.features] == [4, 8, 16]
    target = faces.standardised(torch.from_numpy(data.latents[:].astype(np.float32)))
    assert abs(float(target.mean())) < 0.01 and abs(float(target.std()) - 1.0) < 0.02
    reconstructed = faces.decoded(target[:8])
    assert exam.psnr(reconstructed, data.images(np.arange(8))) > 26.0


def test_a_moved_picture_has_the_description_of_its_window(drawn):
    scene = replace(open_portraits(drawn, 3, PICTURES).scene(1), background="grey")
    shift, zoom = torch.tensor([[0.05, -0.04]]), torch.tensor([1.06])
    s = scene.setting
    moved = replace(
        scene,
        setting=replace(
            s, centre_x=(s.centre_x - 0.05) * 1.06, centre_y=(s.centre_y + 0.04) * 1.06, scale=s.scale * 1.06
        ),
    )
    c = framed(torch.from_numpy(describe(scene))[None], shift, zoom)
    np.testing.assert_allclose(c[0].numpy(), describe(moved), atol=1e-5)
    before, after = (as_images(render(x, 128).to_bytes()[None]) for x in (scene, moved))
    off = (windowed(before, shift, zoom) - after).abs().mean()
    assert off < 0.4 * (before - after).abs().mean()


def test_a_thin_part_weighs_more_and_a_pixel_one_on_average():
    labels = np.zeros((2, 10, 10), np.uint8)
    labels[:, 0] = 2
    labels[:, 1, 0] = 5
    found = weights(labels)
    assert found.shape == (len(ELEMENTS),)
    torch.testing.assert_close(found[2] / found[0], torch.tensor((0.89 / 0.1) ** 0.5))
    torch.testing.assert_close(found[5] / found[0], torch.tensor((0.89 / 0.01) ** 0.5))
    torch.testing.assert_close(found[torch.from_numpy(labels).long()].mean(), torch.tensor(1.0))


def test_overlaps_are_intersections_over_unions_of_all_pixels():
    exact = np.array([[[0, 0], [1, 1]], [[0, 0], [0, 1]]])
    found = np.array([[[0, 1], [1, 1]], [[0, 0], [0, 0]]])
    rows = exam.overlaps(found, exact, ("a", "b", "c"))
    assert rows["parts"] == {"a": 0.667, "b": 0.5}  # 4 of 6, 2 of 4; c is nowhere
    assert rows["mean"] == pytest.approx((4 / 6 + 2 / 4) / 2, abs=1e-3)


def test_an_attribute_is_kept_where_it_was_there():
    before = [{"hat": True, "skin": False}, {"hat": True, "skin": True}]
    after = [{"hat": False, "skin": True}, {"hat": True, "skin": True}]
    assert exam.kept(before, after) == [{"hat": False}, {"hat": True, "skin": True}]
    assert exam.shares(exam.kept(before, after))["attributes"]["hat"][0] == 0.5


def test_psnr_is_the_mean_over_pictures():
    exact = torch.zeros(2, 3, 4, 4)
    pictures = torch.stack([torch.full((3, 4, 4), 0.2), torch.full((3, 4, 4), 0.02)])
    assert exam.psnr(pictures, exact) == pytest.approx((20.0 + 40.0) / 2, abs=0.01)


def test_exact_pictures_are_read_as_described():
    held = exam.held_out(8, 16, textured=True)
    assert exam.shares(exam.outcomes(load_judge(), held.pictures, held))["all"][0] > 0.9
    shown = exam.outcomes(load_judge(), held.pictures.flip(0), held)
    assert exam.shares(shown)["all"][0] < 0.7
    assert "hat_colour" not in shown[[s.hat for s in held.scenes].index("none")]


def test_the_bundle_is_a_model_with_figures_samples_and_a_card(trained, tmp_path, monkeypatch):
    monkeypatch.setattr(exam, "REFINEMENTS", (1, 2))
    monkeypatch.setattr(exam, "TUNING", 1)
    monkeypatch.setattr(card, "FEW", 2)
    card.export(trained, tmp_path / "velatura-face", seed=5, count=3)
    parts = files.read(tmp_path / "velatura-face")
    assert parts.label_names == names() and parts.parts == ELEMENTS and parts.size == 128
    torch.testing.assert_close(parts.labels, bank())
    w = parts.generator.mapping(None, bank())
    torch.testing.assert_close(parts.generator.mapping.w_avg, w.mean(0), atol=2e-3, rtol=0.0)
    figures = json.loads((tmp_path / "velatura-face" / "figures.json").read_text())["figures"]
    assert list(figures["inversion"]) == ["encoder"]
    slower = list(figures["inversion of textured portraits"])[2:]
    assert slower == ["1 steps", "2 steps", "1 steps, 1 of tuning"]
    assert set(figures["segmentation"]["generated"]["parts"]) <= set(ELEMENTS)
    text = (tmp_path / "velatura-face" / "README.md").read_text()
    for part in PARTS:
        assert f"velatura train {part:12} --work DIR --seed 3 --pictures 50 --samples 12" in text
    with Image.open(tmp_path / "velatura-face" / "samples.png") as sheet:
        assert sheet.size == (2 * 132 - 4, 5 * 132 - 4)


@pytest.mark.parametrize("part", PARTS)
def test_without_a_part_there_is_no_bundle(trained, part, tmp_path):
    for path in trained.glob("*.pt"):
        if path.name != f"{part}.pt":
            (tmp_path / path.name).symlink_to(path)
    with pytest.raises(FileNotFoundError, match=f"velatura train {part}"):
        card.write(tmp_path, tmp_path / "bundle")
    assert not (tmp_path / "bundle").exists()


@pytest.fixture(scope="module")
def shipped():
    parts = files.read(card.BUNDLE)
    return Styled("velatura-face", "", parts, torch.device("cpu")), parts.generator.mapping


@pytest.fixture(scope="module")
def others():
    """Portraits of a seed that neither the training nor the card has."""
    return exam.held_out(9, 16)


def figures():
    return json.loads((card.BUNDLE / "figures.json").read_text())["figures"]


def test_the_shipped_networks_are_small():
    networks = ("generator", "encoder", "segmentation")
    assert sum((card.BUNDLE / f"{name}.safetensors").stat().st_size for name in networks) <= 10_000_000


def test_the_shipped_generator_draws_what_a_description_says(shipped, others):
    model, mapping = shipped
    found, said = exam.assess_generated(model, mapping, load_judge(), others), figures()["generated"]
    assert abs(found["psnr"] - said["psnr"]) < 1.5
    assert found["generated"]["all"][0] > said["generated"]["all"][1] - 0.03


def test_the_shipped_encoder_finds_a_portrait_and_its_parts(shipped, others):
    model, mapping = shipped
    codes = model.encode(others.pictures)
    made = exam.pictures_of(model, codes)
    said = figures()["inversion"]["encoder"]
    assert abs(exam.psnr(made, others.pictures) - said["psnr"]) < 1.5
    judge = load_judge()
    kept = exam.kept(*(exam.outcomes(judge, x, others) for x in (others.pictures, made)))
    assert exam.shares(kept)["all"][0] > said["kept"][1] - 0.03
    for ws in (codes, exam.described(model, mapping, others)):
        assert exam.overlaps(exam.segmented(model, ws), others.labels, ELEMENTS)["mean"] > 0.8
