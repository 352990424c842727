"""Training of the readers: their mathematics against closed forms, each for a few steps."""

import math

import numpy as np
import pytest
import torch
from transformers import CLIPModel, CLIPProcessor, CLIPSegForImageSegmentation

from velatura.companions.clipseg import decode
from velatura_lab.cards.export_readers import PARTS, export_readers
from velatura_lab.readers import load_clip, load_clipseg, load_identity, load_judge
from velatura_lab.readers.judge import BUNDLE, STEPS, Judge, Question
from velatura_lab.training import near
from velatura_lab.training.augment import disturb, mirrored, sideless
from velatura_lab.training.clip import train_clip
from velatura_lab.training.data import KIND_NAMES, load_dataset, world_digest
from velatura_lab.training.identity import pair_loss, portrait_of, train_identity
from velatura_lab.training.judge import train_judge
from velatura_lab.training.labels import Labels, questions, readable, two_hot
from velatura_lab.training.loop import launch, load_checkpoint
from velatura_lab.training.negatives import LEAST, other_value
from velatura_lab.training.options import Options
from velatura_lab.training.segmenter import (
    begin_with_clip,
    make_segmenter,
    mask_loss,
    phrases,
    train_segmenter,
)
from velatura_lab.training.text import Wording
from velatura_lab.training.tokenizer import load_tokenizer
from velatura_lab.training.vq import train_vq
from velatura_lab.training.warm import warm_start_judge
from velatura_lab.world import ATTRIBUTES, Caption, Word, sample_scene

pytestmark = pytest.mark.slow

PICTURES = 24
PAIRS = 25
WORKERS = {
    "judge": train_judge,
    "clip": train_clip,
    "segmenter": train_segmenter,
    "identity": train_identity,
    "vq": train_vq,
}


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    return tmp_path_factory.mktemp("readers")


@pytest.fixture(scope="module")
def data(work):
    return load_dataset(work, 7, PICTURES, 1)


@pytest.fixture(scope="module")
def trained(work, data):
    """Two steps of each, then two more."""
    near.draw(work, 7, PAIRS)
    for part, worker in WORKERS.items():
        count = PAIRS if part == "clip" else PICTURES
        for samples in (8, 16):
            launch(worker, Options(work, samples=samples, pictures=count, processes=1, batch=4))
            assert load_checkpoint(work / f"{part}.pt")["samples"] == samples
    return work


def test_a_degree_is_the_mean_of_its_steps():
    for value in (0.0, 0.03, 0.5, 0.77, 1.0):
        weights = two_hot(value)
        assert sum(step / (STEPS - 1) * weight for step, weight in weights.items()) == pytest.approx(value)
        assert sum(weights.values()) == pytest.approx(1.0)
        assert len(weights) == 2 and min(weights.values()) >= 0.0


def test_targets_are_the_scenes_own_and_only_where_they_show(data):
    labels = Labels(data)
    asked = questions()
    for index, row in enumerate(labels.matrix):
        scene, seen = data.scene(index), data.visible(index)
        for question, wanted in zip(asked, row.split(labels.sizes), strict=True):
            if question.kind not in ("", scene.kind) or not readable(scene, question.name, seen):
                assert wanted.sum() == 0
            elif question.values:
                assert question.values[int(wanted.argmax())] == getattr(scene, question.name)
            else:
                mean = float(wanted @ torch.linspace(0.0, 1.0, STEPS))
                assert mean == pytest.approx(getattr(scene, question.name), abs=1e-5)


def test_every_attribute_of_every_kind_is_asked_for():
    asked = {(question.kind, question.name) for question in questions()}
    for kind, attributes in ATTRIBUTES.items():
        assert {("" if name == "style" else kind, name) for name in attributes} <= asked


def test_label_loss_of_even_guesses_is_the_log_of_the_choices(data):
    labels = Labels(data)
    even = torch.zeros_like(labels.matrix)
    rows = labels.matrix.split(labels.sizes, 1)
    wanted = sum(float(row.sum()) * math.log(row.shape[1]) for row in rows) / len(even)
    assert float(labels.loss(even, labels.matrix)) == pytest.approx(wanted, rel=1e-4)


def test_disturbed_pictures_stay_pictures_and_near():
    torch.manual_seed(0)
    images = torch.rand(8, 3, 32, 32)
    changed_images = disturb(images)
    assert changed_images.shape == images.shape
    assert changed_images.min() >= 0.0 and changed_images.max() <= 1.0
    assert (disturb(torch.full_like(images, 0.5)) - 0.5).abs().mean() < 0.15


def test_only_what_has_no_sides_is_mirrored_and_its_masks_with_it():
    torch.manual_seed(0)
    images, masks = torch.rand(64, 3, 8, 8), torch.rand(64, 1, 8, 8)
    allowed = torch.arange(64) % 2 == 0
    turned, turned_masks = mirrored(allowed, images, masks)
    moved = (turned != images).flatten(1).any(1)
    assert torch.equal(moved, (turned_masks != masks).flatten(1).any(1))
    assert not (moved & ~allowed).any()
    assert 5 < moved.sum() < 27
    assert torch.equal(turned[moved], images[moved].flip(3))
    for kind, may in zip(KIND_NAMES, sideless().tolist(), strict=True):
        assert may == ("side" not in ATTRIBUTES[kind])


def test_pair_loss_has_closed_forms():
    flat = torch.zeros(3, 8)
    assert float(pair_loss(flat, flat)) == pytest.approx(math.log(5))
    assert float(pair_loss(torch.eye(8)[:3], torch.eye(8)[:3])) < 1e-3


def test_mask_loss_is_least_for_the_mask_itself():
    mask = torch.zeros(1, 8, 8)
    mask[:, :4] = 1.0
    good, empty, bad = (mask_loss(20.0 * (value - 0.5), mask) for value in (mask, mask * 0.0, 1.0 - mask))
    assert float(good) < 0.01 < float(empty) < float(bad)


def test_a_clip_of_another_shape_is_refused(trained):
    network = make_segmenter(Wording(load_tokenizer(trained / "tokenizer")))
    with pytest.raises(ValueError, match=r"it has clip\.third\.weight.* train both anew with another --work"):
        begin_with_clip(network, {"clip.third.weight": torch.zeros(2)})


def test_a_fresh_segmenter_has_gradients_that_half_precision_keeps(trained):
    """As transformers begins it its first attention is saturated; what reaches the towers is soon noise."""
    torch.manual_seed(1)
    network = make_segmenter(Wording(load_tokenizer(trained / "tokenizer")))
    patches = 3.0 * torch.randn(
        4, 257, network.config.vision_config.hidden_size
    )  # as trained towers give them
    words = 2.0 * torch.randn(4, network.config.projection_dim)
    masks = (torch.rand(4, 8, 8) > 0.7).float().repeat_interleave(8, 1).repeat_interleave(8, 2)

    def gradient(is_half):
        network.zero_grad()
        with torch.autocast("cpu", torch.bfloat16, enabled=is_half):
            logits = decode(network, [patches, patches], words)
        mask_loss(logits.float(), masks).backward()
        weights = [p.grad for name, p in network.decoder.named_parameters() if name.endswith("weight")]
        return [weight.flatten().clone() for weight in weights]

    for half, single in zip(gradient(True), gradient(False), strict=True):
        assert torch.cosine_similarity(half, single, 0) > 0.98


def test_another_degree_is_another_word():
    rng = np.random.default_rng(0)
    for kind, attributes in ATTRIBUTES.items():
        scene = sample_scene(rng, kind)
        for name in attributes:
            values = [other_value(scene, name, rng) for _ in range(20)]
            value = getattr(scene, name)
            if attributes[name].degree:
                assert all(abs(v - value) >= LEAST - 1e-9 and 0.0 <= v <= 1.0 for v in values)
            else:
                assert value not in values


def test_phrases_are_the_words_about_an_element():
    words = [("a", ""), ("red", "hat"), ("hat", "hat"), ("with", ""), ("a", ""), ("brim", "hat")]
    words += [("and", ""), ("long", "hair"), ("hair", "hair"), (",", ""), ("red", "hat")]
    assert phrases(Caption(tuple(Word(*word) for word in words))) == {
        "hat": "red hat with a brim",
        "hair": "long hair",
    }


def test_a_person_on_another_day_is_the_same_person():
    rng = np.random.default_rng(2)
    scene = sample_scene(rng, "portrait")
    others = [portrait_of(scene, rng) for _ in range(30)]
    assert all(other.identity == scene.identity and other.skin == scene.skin for other in others)
    assert len({other.background for other in others}) > 2
    assert scene.person == "man" or not any(other.beard for other in others)


def test_people_are_kept_by_the_world_that_drew_them(trained):
    (kept,) = trained.glob("people-*.npz")
    assert world_digest() in kept.name


def wider(question):
    """The same question with another answer, in the middle."""
    half = len(question.values) // 2
    values = (*question.values[:half], "something new", *question.values[half:])
    return Question(question.kind, question.name, values) if question.name == "thing" else question


def test_a_judge_that_is_asked_more_first_reads_what_the_old_one_did():
    old = load_judge()
    asked = [wider(question) for question in reversed(old.questions)]
    new = Judge([Question("table", "temper", ("mild", "wild")), *asked])
    assert warm_start_judge(new, BUNDLE)
    images = torch.rand(3, 3, 128, 128)
    with torch.no_grad():
        before, after = old.log_probabilities(images), new.eval().log_probabilities(images)
    for question in old.questions:
        found = after[question.key]
        if wider(question) is not question:
            place = wider(question).values.index("something new")
            assert not (found.argmax(1) == place).any()
            kept = [k for k in range(found.shape[1]) if k != place]
            found = found[:, kept].log_softmax(1)
        torch.testing.assert_close(found, before[question.key], atol=1e-4, rtol=1e-4)
    assert any(wider(question) is not question for question in old.questions)


def test_a_judge_of_other_layers_begins_at_random(tmp_path):
    torch.manual_seed(0)
    small = Judge(questions(), (8, 16, 16, 16))
    before = {name: value.clone() for name, value in small.state_dict().items()}
    assert not warm_start_judge(small, BUNDLE)
    assert not warm_start_judge(small, tmp_path) and not warm_start_judge(small, None)
    assert all(torch.equal(value, before[name]) for name, value in small.state_dict().items())


def test_training_begins_with_the_judge_it_is_told(data, work, tmp_path):
    """With no rate to speak of, the averaged weights are those it began with."""
    (tmp_path / data.folder.name).symlink_to(data.folder)
    given = Options(tmp_path, samples=4, pictures=PICTURES, processes=1, batch=4, rate=1e-12, start=BUNDLE)
    launch(train_judge, given)
    weights = load_checkpoint(tmp_path / "judge.pt")["ema"]
    torch.testing.assert_close(weights["body.0.weight"], load_judge().state_dict()["body.0.weight"])


@pytest.mark.parametrize("part", ["judge", "identity"])
def test_an_interrupted_run_gives_the_same_weights(part, trained, tmp_path):
    results = []
    for name, calls, stop_after in (("once", 1, None), ("often", 4, 0.0)):
        folder = tmp_path / name
        folder.mkdir()
        forerunners = [trained / "judge.pt"] if part == "identity" else []
        for kept in (*trained.glob("pictures-*"), *trained.glob("people-*.npz"), *forerunners):
            (folder / kept.name).symlink_to(kept)
        for _ in range(calls):
            options = Options(
                folder, samples=16, pictures=PICTURES, processes=1, batch=4, stop_after=stop_after
            )
            launch(WORKERS[part], options)
        results.append(load_checkpoint(folder / f"{part}.pt"))
    assert results[0]["samples"] == results[1]["samples"] == 16
    for name, value in results[0]["ema"].items():
        assert torch.equal(value, results[1]["ema"][name]), name


def test_bundles_are_written_load_and_run(trained, tmp_path):
    assert export_readers(trained, tmp_path, count=12) == list(PARTS)
    images = torch.rand(2, 3, 96, 160)
    (first, _) = load_judge(tmp_path / "velatura-judge").read(images)
    assert set(first.values) == set(ATTRIBUTES[first.kind])
    assert all(0.0 <= sure <= 1.001 for sure in first.confidence.values())
    assert load_clip(tmp_path / "velatura-clip").similarity(images, ["a castle", "zebra", "a man"]).shape == (
        2,
        3,
    )
    masks = load_clipseg(tmp_path / "velatura-segmenter").read(images, ["a castle", "the sky"])
    assert masks.shape == (2, 96, 160)
    vectors = load_identity(tmp_path / "velatura-identity").images(images)
    torch.testing.assert_close(vectors.norm(dim=1), torch.ones(2))
    CLIPModel.from_pretrained(tmp_path / "velatura-clip")
    CLIPProcessor.from_pretrained(tmp_path / "velatura-clip")
    CLIPSegForImageSegmentation.from_pretrained(tmp_path / "velatura-segmenter")
    for part in PARTS:
        card = (tmp_path / f"velatura-{part}" / "README.md").read_text()
        assert f"velatura train {part} --work" in card and "GPL-3.0" in card


def test_readers_can_be_differentiated(trained, tmp_path):
    export_readers(trained, tmp_path, count=12)
    images = torch.rand(1, 3, 128, 128, requires_grad=True)
    outputs = [
        load_judge(tmp_path / "velatura-judge").degree(images, "landscape", "snow"),
        load_clip(tmp_path / "velatura-clip").similarity(images, ["a castle"]),
        load_clipseg(tmp_path / "velatura-segmenter").read(images, ["a castle"]),
        load_identity(tmp_path / "velatura-identity").images(images)[:, 0],
    ]
    for output in outputs:
        (gradient,) = torch.autograd.grad(output.sum(), images)
        assert gradient.abs().max() > 0


def test_what_was_not_trained_cannot_be_exported(tmp_path):
    from velatura_lab.training.judge import export_judge

    with pytest.raises(FileNotFoundError, match="run `velatura train judge` first"):
        export_judge(tmp_path, tmp_path / "bundle")
    assert export_readers(tmp_path, tmp_path) == []
