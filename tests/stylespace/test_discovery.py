"""Found directions: what varies most, its names, and the step that leads along it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from tests.stylespace.toys import Linear, Looks
from velatura.stylespace import discovery, sheets
from velatura.stylespace.words import FACES, known, listed

WORDS = ("old", "young", "hat", "bare", "dark", "light")


@pytest.fixture(scope="module")
def world():
    """Pictures that differ in three things, the first most, and words for both ends of each. The first two
    often go together. Codes are a linear function of the three."""
    g = torch.Generator().manual_seed(0)
    axes = torch.linalg.qr(torch.randn(8, 8, generator=g))[0][:3]
    degrees = torch.randn(400, 3, generator=g) * torch.tensor([3.0, 2.0, 1.0])
    degrees[:, 1] += 0.4 * degrees[:, 0]
    e = 5.0 + degrees @ axes
    vectors = torch.cat([axes, -axes])[[0, 3, 1, 4, 2, 5]] + 0.05 * torch.randn(6, 8, generator=g)
    to_code = torch.randn(3, 5, generator=g)
    return discovery.Samples(degrees @ to_code, e), F.normalize(vectors, dim=-1), axes, to_code, degrees


def test_principal_directions_are_those_of_the_covariance(world):
    samples, *_ = world
    directions, shares = discovery.principal(samples.e, 32)
    assert directions.shape == (3, 8)  # the others do not vary
    values, vectors = np.linalg.eigh(np.cov(samples.e.numpy().astype(np.float64).T))
    for k in range(3):
        assert abs(float(directions[k] @ torch.from_numpy(vectors[:, -1 - k]).float())) == pytest.approx(
            1.0, abs=1e-3
        )
        assert float(shares[k]) == pytest.approx(values[-1 - k] / values.sum(), abs=1e-3)


def test_both_ends_are_named_once_and_lead_to_their_words(world):
    samples, vectors, axes, to_code, _ = world
    found = discovery.discovered(samples, WORDS, vectors, 8)
    words = [one.word for one in found]
    assert [set(words[i : i + 2]) for i in (0, 2, 4)] == [
        {"old", "young"},
        {"hat", "bare"},
        {"dark", "light"},
    ]
    shares = [one.share for one in found]
    assert shares == sorted(shares, reverse=True) and all(one.likeness > 0.7 for one in found)
    for one in found:
        i = WORDS.index(one.word)
        end = axes[i // 2] * (-1.0 if i % 2 else 1.0)
        assert float(F.normalize(in_clip(one.step, to_code, axes), dim=0) @ end) > 0.97


def in_clip(step, to_code, axes):
    """The move in CLIP's space that a step of the linear generator makes."""
    return torch.linalg.lstsq(to_code.T, step[:, None]).solution[:, 0] @ axes


def test_apart_a_direction_leaves_what_goes_together(world):
    """The degree of the other thing changes with the first when all that goes together is led."""
    samples, vectors, axes, to_code, _ = world

    def moved(apart):
        first = discovery.discovered(samples, WORDS, vectors, 3, apart=apart)[0]
        change = in_clip(first.step, to_code, axes) @ axes.T
        return float(change[1].abs() / change[0].abs())

    assert moved(True) < 0.15 < moved(False)


def test_without_apart_each_principal_direction_has_one_name(world):
    samples, vectors, *_ = world
    found = discovery.discovered(samples, WORDS, vectors, 8, apart=False)
    assert [WORDS.index(one.word) // 2 for one in found] == [0, 1, 2]


def test_a_step_is_two_deviations_by_ridge_regression(world):
    samples, _, axes, to_code, degrees = world
    places = (samples.e - samples.e.mean(0)) @ axes.T
    expected = discovery.STEP * degrees.std(0, correction=0)[:, None] * to_code
    assert torch.allclose(discovery.regressed(samples.w, places, [0, 1, 2]), expected, rtol=0.05, atol=0.1)
    both = discovery.regressed(samples.w, torch.cat([places, -places[:, :1]], 1), [0, 1, 2, 0])
    assert torch.allclose(both[3], -both[0], atol=1e-4)  # opposites do not share a step
    assert torch.allclose(both[:3], expected, rtol=0.05, atol=0.1)


def test_names_end_with_the_words_and_with_what_they_are_like(world):
    samples, vectors, *_ = world
    assert len(discovery.discovered(samples, WORDS[:4], vectors[:4], 8)) == 4
    assert discovery.discovered(samples, (), vectors[:0], 8) == []
    same = discovery.Samples(samples.w, samples.e[:1].expand_as(samples.e))
    assert discovery.discovered(same, WORDS, vectors, 8) == []
    span, _ = discovery.principal(samples.e, 1)
    far = torch.linalg.svd(span, full_matrices=True)[2][1:3]  # words that are like nothing that varies
    assert discovery.named(span, far) == []


def test_samples_are_those_of_the_seeds_and_can_be_resumed():
    model, clip = Linear(), Looks()
    begun, seen = [], []
    whole = discovery.looked_at(model, clip, 40, 0.8, begun, lambda i, n: seen.append((i, n)))
    assert seen == [(1, 3), (2, 3), (3, 3)] and whole.e.shape == (40, 7)
    model.calls = 0
    again = discovery.looked_at(model, clip, 40, 0.8, begun[:2], lambda i, n: None)
    assert model.calls == 1 and torch.equal(again.e, whole.e) and torch.equal(again.w, whole.w)
    code = model.wplus(model.sample([17], 0.8))
    picture = model.synthesise(model.styles(code)).pictures.clamp(-1.0, 1.0)
    assert torch.allclose(clip.images((picture + 1.0) / 2.0)[0], whole.e[17], atol=1e-5)


def letters(text):
    """The tokens of a vocabulary that has three words and spells the others."""
    return 2 + sum(1 if word in ("red", "hat", "old") else len(word) for word in text.split())


def test_words_that_a_vocabulary_lacks_name_nothing():
    assert known(letters, ("old", "red hat", "older", "red beard")) == ("old", "red hat")
    assert listed(" old, red  hat\nold,, cap ") == ("old", "red hat", "cap")
    assert len(set(FACES)) == len(FACES)


def test_a_sheet_lies_over_the_selection_with_the_names_below_the_pictures():
    image = torch.zeros(1, 3, 90, 120)
    mask = torch.zeros(1, 1, 90, 120)
    mask[..., 10:80, 20:110] = 1.0
    pictures = torch.stack([torch.full((3, 16, 16), value) for value in (-0.5, 0.0, 0.5)])
    made = sheets.sheet(pictures, ["as it is", "young – old", "bare – hat"], image, mask)
    assert made.shape == (1, 4, 90, 120)
    alpha = made[0, 3]
    assert alpha[mask[0, 0] == 0.0].sum() == 0.0 and set(alpha.unique().tolist()) == {0.0, 1.0}
    columns, side = sheets.layout(3, 70, 90)
    assert (columns, side) == (2, 30)
    assert torch.allclose(made[0, :3, 12:38, 22:48], torch.tensor(-0.5), atol=1e-3)
    assert torch.allclose(made[0, :3, 12:38, 52:78], torch.tensor(0.0), atol=1e-3)
    label = made[0, 0, 40:44, 50:80]
    assert label.min() < 0.0 < label.max()  # ink on paper
