"""CLIP's training on pairs of near pictures, against closed forms, and the truth of its texts."""

import math

import numpy as np
import pytest
import torch

from velatura_lab.exam.assess import Exam
from velatura_lab.exam.near import assess_near, assess_words
from velatura_lab.training import near
from velatura_lab.training.clip import contrastive_loss, pair_loss, pick_batch, worded
from velatura_lab.training.truth import SHARES, Text, Told, changed_elements, falsehoods, numbers
from velatura_lab.world import ATTRIBUTES, Caption, Word, edit, elements, sample_scene

pytestmark = pytest.mark.slow
ALL = frozenset(elements("portrait"))


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    return near.draw(tmp_path_factory.mktemp("near"), 7, near.CHUNK)


def portrait(**changes):
    scene = sample_scene(np.random.default_rng(3), "portrait")
    plain = {"hat": "none", "glasses": "none", "beard": False, "smile": False, "age": 0.9, "style": "photo"}
    return edit(scene, **(plain | changes))


def told(scene):
    return Told(scene, ALL, (0, 0))


def text(*words, whole=False):
    item = Caption(tuple(Word(*word) for word in words))
    return Text(item, numbers(item), whole)


def test_the_pictures_of_a_pair_differ_in_one_attribute_and_have_one_view(pairs):
    for index in pairs.available():
        first, second = pairs.scenes(int(index))
        names = [name for name in ATTRIBUTES[first.kind] if getattr(first, name) != getattr(second, name)]
        assert first.kind == second.kind == pairs.kind(int(index)) and len(names) == 1
        a, b = pairs.images(np.array([index]))
        assert 0.0 <= float((a - b).abs().mean()) < 0.3
    assert len(pairs.available()) == near.CHUNK


def test_drawing_again_draws_nothing_new(pairs):
    before = pairs.pictures.copy()
    again = near.draw(near.Path(pairs.pictures.filename).parents[1], 7, near.CHUNK)
    assert np.array_equal(again.pictures, before)


def test_a_word_is_false_only_of_pictures_that_no_wording_has_it_of():
    hat, bare = told(portrait(hat="hat", hat_colour="red")), told(portrait())
    texts = [
        text(("hat", "hat")),
        text(("red", "hat"), ("hat", "hat")),
        text(("blue", "hat"), ("hat", "hat")),
    ]
    assert falsehoods(texts, [hat, bare]).tolist() == [[False, False, True], [True, True, True]]
    assert not falsehoods([text(("old", "face")), text(("elderly", "face"))], [bare]).any()
    assert falsehoods([text(("young", "face"))], [bare]).all()


def test_only_a_whole_caption_is_false_of_a_picture_with_more():
    hat, bare = told(portrait(hat="hat")), told(portrait())
    canonical = Text(bare.canonical, numbers(bare.canonical), whole=True)
    short = Text(bare.canonical, numbers(bare.canonical))
    assert falsehoods([canonical, short], [bare, hat]).tolist() == [[False, False], [True, False]]


def test_every_text_is_true_of_its_own_picture_and_all_forms_occur():
    rng = np.random.default_rng(1)
    lengths = set()
    for seed in range(60):
        scene = sample_scene(np.random.default_rng(seed))
        own = Told(scene, frozenset(elements(scene.kind)), (seed,))
        texts = [own.text(rng) for _ in range(6)]
        lengths |= {len(one.item.words) for one in texts}
        false = falsehoods(texts, [own])
        # a rare paraphrase may be missing among the wordings that were drawn
        assert false.float().mean() <= 0.34
    assert 1 in lengths and max(lengths) > 12 and sum(SHARES.values()) == pytest.approx(1.0)


def test_the_last_text_of_a_picture_is_about_what_differs():
    hat, bare = told(portrait(hat="hat")), told(portrait())
    assert changed_elements(hat, bare) == {"hat"}

    class Known:
        def told(self, index):
            return hat, bare

    rng = np.random.default_rng(0)
    about = [one for _ in range(30) for one in worded(Known(), np.array([0]), rng)[1][1:2]]
    named = [one for one in about if "hat" in one.item.elements()]
    assert len(named) > 24
    _, texts, owner = worded(Known(), np.array([0]), rng)
    assert owner.tolist() == [0, 0, 1, 1] and len(texts) == 4


def test_contrastive_loss_has_closed_forms():
    n = 4
    owner = torch.arange(n)
    false = ~torch.eye(n, dtype=torch.bool)
    even = contrastive_loss(torch.zeros(n, n), owner, false)
    assert float(even) == pytest.approx(math.log(n))
    assert float(contrastive_loss(50.0 * torch.eye(n), owner, false)) < 1e-6
    assert float(contrastive_loss(torch.zeros(n, n), owner, torch.zeros_like(false))) < 1e-6
    logits = torch.randn(n, n, generator=torch.Generator().manual_seed(0))
    by_hand = torch.nn.functional.cross_entropy
    wanted = 0.5 * (by_hand(logits, owner) + by_hand(logits.T, owner))
    assert float(contrastive_loss(logits, owner, false)) == pytest.approx(float(wanted), rel=1e-5)


def test_pair_loss_compares_the_two_pictures_of_a_pair_where_a_text_tells_them_apart():
    owner = torch.tensor([0, 1])
    logits = torch.tensor([[1.0, 0.5], [0.2, 2.0]])
    tells = torch.tensor([[False, False], [True, False]])
    assert float(pair_loss(logits, owner, tells)) == pytest.approx(math.log(1.0 + math.exp(0.2 - 1.0)))
    assert float(pair_loss(logits, owner, torch.zeros_like(tells))) == 0.0


def test_a_batch_is_often_of_one_kind():
    kinds = np.array([0, 1, 2, 2]).repeat(15)
    picks = [pick_batch(kinds, np.random.default_rng(seed), 8) for seed in range(400)]
    alike = sum(len(set(kinds[pick])) == 1 for pick in picks)
    assert 130 < alike < 360
    seen = np.bincount(np.concatenate(picks), minlength=60)
    assert 0.4 < seen[30:].sum() / seen.sum() < 0.6  # of what there is more, more is learnt


class RednessOfPictures:
    """Embeds pictures and texts by their redness, a text as the word "red" stands in it."""

    def images(self, pictures):
        red = pictures[:, 0].mean((1, 2)) - pictures[:, 1:].mean((1, 2, 3))
        return torch.stack([red, torch.ones_like(red)], 1)

    def texts(self, sentences):
        return torch.tensor([[1.0 if "red" in one.split() else -1.0, 0.0] for one in sentences])


def test_a_reader_of_one_colour_finds_that_word_and_no_other():
    exam = Exam(1, 160, "portrait", size=32)
    areas = assess_words(RednessOfPictures(), exam, [Word("red", "background"), Word("glasses", "glasses")])
    assert areas.get("background: red", 1.0) > 0.8 and 0.3 < areas["glasses: glasses"] < 0.7
    figures = assess_near(RednessOfPictures(), 1, 4)
    assert figures["source"][3] == 12 and 0.0 <= figures["source"][0] <= 1.0
