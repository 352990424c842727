"""A model sees ink as an artist does: on paper, not in the ink's own colour."""

from __future__ import annotations

import numpy as np
import pytest

from velatura.canvas.region import over_mean, over_paper


def paint(colour, alpha):
    """Premultiplied: this colour with this alpha [h, w]."""
    straight = np.broadcast_to(np.asarray(colour, np.float32), (*alpha.shape, 3))
    return np.concatenate([straight * alpha[..., None], alpha[..., None]], axis=2).astype(np.float32)


@pytest.fixture
def lines():
    """Alpha of soft lines that cover a fifth of a square."""
    x = np.linspace(0, 10 * np.pi, 60)
    return np.clip(2 * np.sin(x)[None] * np.ones((60, 1)) - 1, 0, 1).astype(np.float32)


@pytest.mark.parametrize(
    ("ink", "paper"),
    [((0, 0, 0), 1), ((0.2, 0.1, 0.5), 1), ((0.5, 0.5, 0.5), 1), ((1, 1, 1), 0), ((1, 0.95, 0.2), 0)],
)
def test_paint_of_one_colour_lies_on_paper_that_it_stands_out_from(lines, ink, paper):
    image, backdrop = over_paper(paint(ink, lines))
    assert (backdrop == paper).all()
    assert np.abs(image - over_mean(paint(ink, lines))[0]).max() > 0.3
    assert image[lines == 0] == pytest.approx(paper) and image[lines == 1] == pytest.approx(
        np.broadcast_to(ink, image[lines == 1].shape), abs=1e-6
    )


def test_pencil_whose_tone_varies_a_little_is_ink(lines):
    grain = np.random.default_rng(0).normal(0.3, 0.03, (60, 60, 1)).astype(np.float32)
    assert (over_paper(paint(grain.repeat(3, 2), lines))[1] == 1).all()


def test_a_picture_that_is_cut_out_keeps_its_mean(lines):
    colours = np.random.default_rng(0).uniform(0, 1, (60, 60, 3))
    made = paint(colours, lines)
    image, backdrop = over_paper(made)
    assert (image == over_mean(made)[0]).all() and backdrop.mean() == pytest.approx(0.5, abs=0.1)


def test_an_opaque_plain_layer_has_no_paper_and_an_empty_one_none():
    assert (over_paper(paint((0.1, 0.1, 0.1), np.ones((8, 8))))[1] < 0.2).all()
    assert over_paper(np.zeros((8, 8, 4), np.float32))[1] is None
