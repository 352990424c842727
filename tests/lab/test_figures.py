"""`velatura train evaluate`: what prompts ask for, how it is counted, and what is written."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from PIL import Image

from velatura_lab.cards import evaluate, sections
from velatura_lab.evaluation.encoders import Encoders
from velatura_lab.exam import figures, measure
from velatura_lab.exam.asked import combined, full_caption, is_worded, ladders, of_exam
from velatura_lab.exam.assess import Exam, pooled, rate
from velatura_lab.exam.grids import save_small, sheet
from velatura_lab.readers.judge import Judge, Reading
from velatura_lab.training.export import export_bundle
from velatura_lab.training.labels import questions
from velatura_lab.training.loop import save_checkpoint
from velatura_lab.training.networks import PROFILES, make_autoencoder, make_unet
from velatura_lab.training.text import make_text
from velatura_lab.world import ATTRIBUTES, KINDS, Landscape, Portrait, Table, elements, holds

SMALL = replace(
    PROFILES["cpu"], name="small", size=64, latent_channels=4, vae_width=8, unet=(32, 32), decoder_width=8
)
every_kind = pytest.mark.parametrize("kind", KINDS)


def worded_names(scene):
    return {name for name in ATTRIBUTES[scene.kind] if is_worded(scene, name, elements(scene))}


# What is asked


def test_what_a_caption_leaves_out_is_not_asked_for():
    portrait = Portrait(hat="none", glasses="sunglasses", beard=False, smile=True, smile_width=0.9)
    assert {"person", "glasses", "smile_width", "style"} <= worded_names(portrait)
    assert not {"hat", "hat_colour", "beard", "beard_length", "shirt_pattern"} & worded_names(portrait)
    landscape = Landscape(snow=0.0, trees="leafy", blossom=0.5, building="none")
    assert {"path", "blossom", "trees", "time", "season"} <= worded_names(landscape)
    assert not {"snow", "building"} & worded_names(landscape)
    table = Table(thing="basket", colour="brown", fullness=0.9, second="none")
    assert {"thing", "fullness"} <= worded_names(table)
    assert not {"colour", "fluff", "flowers", "second", "side", "cloth"} & worded_names(table)


@every_kind
def test_requests_say_what_they_are_read_for(kind):
    exam = Exam(3, 6, kind, 64)
    for index, request in enumerate(of_exam(exam, 6)):
        assert request.prompt == full_caption(request.scene, exam.seen(index)).text
        assert {"style"} < set(request.names) <= set(ATTRIBUTES[kind])


@every_kind
def test_every_new_combination_is_asked_for(kind):
    found = combined(kind, 3, 2, 64)
    for requests, combination in zip(found.values(), KINDS[kind].HELD_OUT, strict=True):
        assert len(requests) == 2
        assert all(holds(r.scene, combination) and set(r.names) == set(combination) for r in requests)


@every_kind
def test_ladders_differ_in_one_degree(kind):
    steps = ladders(kind, 3, 1, 64)
    assert {ladder.attribute for ladder in steps} == {n for n, a in ATTRIBUTES[kind].items() if a.degree}
    for ladder in steps:
        assert len(set(ladder.prompts)) == len(ladder.scenes) == 3
        values = [getattr(scene, ladder.attribute) for scene in ladder.scenes]
        assert values == sorted(values)
        least, most = (
            set(prompt.replace(",", "").split())
            for prompt in (min(ladder.prompts, key=len), max(ladder.prompts, key=len))
        )
        assert len(most - least) <= 3


# How it is counted


class Reads:
    """A judge that sees what it is told."""

    def __init__(self, readings):
        self.readings = readings

    def read(self, images):
        taken, self.readings = self.readings[: len(images)], self.readings[len(images) :]
        return taken


def test_only_what_was_said_counts():
    exam = Exam(3, 4, "table", 64)
    requests = of_exam(exam, 4)
    values = [{name: getattr(r.scene, name) for name in ATTRIBUTES["table"]} for r in requests]
    values[0]["thing"] = "something else"
    readings = [Reading("table", value, {}) for value in values]
    images = torch.zeros(4, 3, 64, 64)
    found = figures.prompted(Reads(readings), images, requests)
    assert found["thing"][::3] == [0.75, 4]
    asked = sum(len(r.names) for r in requests)
    assert found["all"][::3] == [pytest.approx(1.0 - 1.0 / asked, abs=1e-4), 4]
    scales = figures.by_guidance(Reads(readings), images, requests, [2.5, 4.0, 2.5, 4.0])
    assert scales["4"][0] == 1.0 > scales["2.5"][0]


def test_outcomes_of_one_picture_are_not_independent():
    rng = np.random.default_rng(0)
    pictures = [[bool(right)] * 10 for right in rng.random(60) < 0.8]
    share, low, high, n = pooled(pictures)
    assert [share, n] == rate([own[0] for own in pictures])[::3]
    alone = rate([outcome for own in pictures for outcome in own])
    assert high - low > 2.0 * (alone[2] - alone[1])
    assert low < 0.8 < high
    assert pooled(pictures) == [share, low, high, n]  # the draws are seeded
    assert pooled([[True], [False], []]) == rate([True, False])
    assert pooled([[]]) == pytest.approx(rate([]), nan_ok=True)


@pytest.mark.parametrize("pictures", [[[True] * 8] * 20, [[True, False]] * 20, [[True] * 8, [False] * 8] * 2])
def test_resampling_what_is_alike_or_little_says_nothing(pictures):
    share, low, high, n = pooled(pictures)
    assert n == len(pictures)
    assert [low, high] == pytest.approx(rate([k < share * n for k in range(n)])[1:3])
    assert high - low > 0.1


def test_few_means_and_such_as_are_alike_have_no_interval():
    assert figures.mean([1.0] * 4) == [1.0, None, None, 4]
    assert figures.mean([0.3] * 40) == [0.3, None, None, 40]
    assert figures.mean([0.5, 1.0, 0.5, 1.0]) == [0.75, None, None, 4]
    value, low, high, n = figures.mean([0.5, 1.0, 0.5, 1.0, 1.0])
    assert low < value < high and n == 5
    assert sections.rate([1.0, None, None, 4]) == "1.000 (n = 4)"
    assert sections.number([28.0, None, None, 2]) == "28.0 (n = 2)"
    assert sections.rate([0.5, 0.25, 0.75, 9]) == "0.500 (0.25 to 0.75)"


class Matcher:
    """Finds a picture's own number in a caption."""

    def images(self, images):
        return torch.nn.functional.one_hot(images[:, 0, 0, 0].long(), 40).float()

    def texts(self, prompts):
        return torch.nn.functional.one_hot(torch.tensor([int(text) for text in prompts]), 40).float()


@pytest.mark.parametrize(("count", "of"), [(2, 2), (12, 12), (16, 16), (40, 16)])
def test_how_many_captions_there_were_is_told(count, of):
    prompts = [str(number) for number in range(count)]
    images = torch.arange(float(count)).view(-1, 1, 1, 1).expand(-1, 3, 8, 8)
    found = figures.right_caption(Matcher(), images, prompts, prompts, 7)
    assert (found["of"], found["share"][0]) == (of, 1.0)


def test_one_caption_is_no_choice():
    assert figures.right_caption(Matcher(), torch.zeros(1, 3, 8, 8), ["0"], ["0"], 7) is None


def test_seeds_and_guidance_go_on_from_batch_to_batch():
    ordered = measure.orders([f"prompt {k}" for k in range(19)], 5)
    assert [len(order.prompts) for order in ordered] == [8, 8, 3]
    assert [seed for order in ordered for seed in order.seeds] == list(range(19))
    assert [order.guidance[0] for order in ordered] == [2.5, 5.0, 4.0]
    same = measure.orders(["a", "b"], 5, [4, 4], (3.0,))
    assert (same[0].seeds, same[0].guidance) == ((4, 4), (3.0, 3.0))


# What is written


def test_a_grid_is_small_whatever_it_shows(tmp_path):
    rng = np.random.default_rng(0)
    row = [np.float32(rng.random((3, 64, 64))) for _ in range(4)]
    image = sheet([row, row], ["one", "two", "three", "four"])
    assert image.size == (4 * 68 - 4, 16 + 2 * 68 - 4)
    save_small(image, tmp_path / "grid.png", 60_000)
    assert (tmp_path / "grid.png").stat().st_size <= 60_000
    save_small(image, tmp_path / "exact.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "exact.png")), np.asarray(image))


@pytest.fixture(scope="module")
def untrained(tmp_path_factory):
    """A bundle of networks with random weights, and the folder it was exported from."""
    torch.manual_seed(0)
    work = tmp_path_factory.mktemp("work")
    _, text, _ = make_text(work)
    record = {"profile": asdict(SMALL), "samples": 0, "seconds": 0.0, "scaling": 1.0}
    save_checkpoint(work / "autoencoder.pt", record | {"ema": make_autoencoder(SMALL).state_dict()})
    parts = {"unet": make_unet(SMALL), "text": text}
    state = {
        f"{part}.{name}": value for part, net in parts.items() for name, value in net.state_dict().items()
    }
    save_checkpoint(work / "diffusion.pt", record | {"ema": state})
    export_bundle(work, work / "bundle")
    return work, work / "bundle"


@pytest.mark.slow
def test_everything_is_measured_and_written(untrained, monkeypatch, capsys):
    work, bundle = untrained
    judge = Judge(questions()).eval().requires_grad_(False)
    monkeypatch.setattr(evaluate, "home_made", lambda: Encoders(judge=judge))
    evaluate.evaluate(work, bundle, 7, 2, 1, 1, look=True, note="Not at all.")
    found = json.loads((bundle / "figures.json").read_text())
    assert found["training"]["diffusion"] == {"samples": 0, "minutes": 0.0}
    assert found["notes"] == "Not at all." and "Not at all." in (bundle / "README.md").read_text()
    for kind in KINDS:
        for name in ("judge_on_renders", "attributes_as_prompted", "pointing_t400", "autoencoder_psnr_db"):
            assert len(found[name][kind]["all"]) == 4
        assert len(found["new_combinations"][kind]) == len(KINDS[kind].HELD_OUT)
        for own in found["graded_words"][kind].values():
            assert own["samples"][3] == 2
    card, printed = (bundle / "README.md").read_text(), capsys.readouterr().out
    for text in (card, printed):
        assert "masked edits read as asked" in text and "towering" in text
    for name in ("samples.png", "edits.png"):
        assert f"({name})" in card
        assert (bundle / name).stat().st_size < 300_000
    assert (bundle / "look.png").exists()
