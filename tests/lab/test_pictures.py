"""The procedural world: one scene gives one picture, masks are exact, and so is what an edit changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lab.any_scene import every_kind, every_style, kinds, numbers, scene_number
from velatura_lab.world import (
    ATTRIBUTES,
    CATALOGUE,
    STYLES,
    Portrait,
    View,
    edit,
    element_of,
    elements,
    is_held_out,
    make_pair,
    pairs,
    render,
)
from velatura_lab.world.pairs import TOLERANCE
from velatura_lab.world.wording import MOST_WORDS


def halved(picture: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 blocks of the last two axes."""
    *rest, h, w = picture.shape
    return picture.reshape(*rest, h // 2, 2, w // 2, 2).mean((-3, -1))


# --- pictures -------------------------------------------------------------------------------------


@settings(max_examples=12, deadline=None)
@given(kinds, numbers)
def test_the_same_scene_gives_the_same_bytes(kind, number):
    a, b = (render(scene_number(kind, number), 48) for _ in range(2))
    assert a.to_bytes().tobytes() == b.to_bytes().tobytes()
    assert a.masks.tobytes() == b.masks.tobytes()


@settings(max_examples=60, deadline=None)
@given(
    kinds, numbers, st.sampled_from(STYLES), st.floats(-0.5, 0.5), st.floats(-0.5, 0.5), st.floats(1.0, 3.0)
)
def test_masks_share_every_pixel_out(kind, number, style, x, y, zoom):
    picture = render(scene_number(kind, number, style=style), 48, View(x, y, zoom))
    assert picture.masks.shape == (len(elements(kind)), 48, 48)
    assert picture.masks.dtype == picture.rgb.dtype == np.float32
    assert picture.masks.min() >= 0.0
    np.testing.assert_allclose(picture.masks.sum(0), 1.0, atol=1e-4)
    assert np.isfinite(picture.rgb).all()
    assert picture.rgb.min() >= 0.0
    assert picture.rgb.max() <= 1.0


@settings(max_examples=25, deadline=None)
@given(numbers)
def test_a_portrait_has_a_mask_exactly_for_what_it_shows(number):
    scene = scene_number("portrait", number)
    picture = render(scene, 64)
    area = dict(zip(picture.elements, picture.masks.mean((1, 2)), strict=True))
    assert (area["beard"] > 0) == scene.beard
    assert (area["glasses"] > 0) == (scene.glasses != "none")
    assert (area["hat"] > 0) == (scene.hat != "none")
    assert min(area[name] for name in ("background", "shirt", "face", "mouth")) > 0.001


@every_kind
@every_style
def test_twice_the_resolution_is_the_same_picture(kind, style):
    scene = scene_number(kind, 4, style=style)
    small, large = (render(scene, size) for size in (128, 256))
    difference = np.abs(halved(np.moveaxis(large.rgb, 2, 0)) - np.moveaxis(small.rgb, 2, 0))
    assert difference.mean() < (0.025 if style == "ink" else 0.015)  # ink: black lines on white
    assert np.abs(halved(large.masks) - small.masks).mean() < 0.004


@every_kind
def test_a_view_is_a_part_of_the_whole(kind):
    scene = scene_number(kind, 3, style="photo")
    part, whole = render(scene, 64, View(0.0, 0.0, 2.0)), render(scene, 128)
    difference = np.abs(part.rgb[2:-2, 2:-2] - whole.rgb[34:94, 34:94])
    assert difference.mean() < 0.003
    assert np.abs(part.masks[:, 2:-2, 2:-2] - whole.masks[:, 34:94, 34:94]).mean() < 0.003


@every_kind
@pytest.mark.parametrize("style", STYLES[1:])
def test_a_style_changes_the_picture_and_keeps_its_layout(kind, style):
    scene = scene_number(kind, 8, style="photo")
    photo, other = render(scene, 96), render(edit(scene, style=style), 96)
    assert np.abs(photo.rgb - other.rgb).mean() > 0.03
    assert np.abs(photo.masks - other.masks).mean() * len(photo.elements) < 0.25


@every_style
def test_colours_can_be_told_apart_in_every_style(style):
    """Mean colours of red, green and blue shirts: the channel that is meant is the strongest."""
    scene = Portrait(style=style, shirt_pattern="plain")
    for channel, colour in enumerate(("red", "green", "blue")):
        picture = render(edit(scene, shirt_colour=colour), 96)
        shirt = picture.mask("shirt") > 0.9
        mean = picture.rgb[shirt].mean(0)
        assert mean.argmax() == channel, (style, colour, mean)


# --- edits ----------------------------------------------------------------------------------------


@every_kind
def test_every_attribute_has_edits(kind):
    assert {change.attribute for change in CATALOGUE[kind]} == set(ATTRIBUTES[kind])
    assert all(change.weight > 0.0 for change in CATALOGUE[kind])
    names = [change.name for change in CATALOGUE[kind]]
    assert len(set(names)) == len(names)


ATTRIBUTE_CASES = [(kind, name) for kind in ATTRIBUTES for name in ATTRIBUTES[kind]]


@pytest.mark.parametrize(("kind", "name"), ATTRIBUTE_CASES)
def test_an_attribute_changes_where_it_should(kind, name):
    """The pictures differ, and most where the attribute's element is or something came or went."""
    change = next(c for c in CATALOGUE[kind] if c.attribute == name)
    pair = make_pair(kind, np.random.default_rng(11), change=change)
    assert getattr(pair.target, name) == change.target != getattr(pair.source, name)
    before, after = pair.pictures(64)
    difference = np.abs(after.rgb - before.rgb).max(2)
    assert difference.max() > 0.05
    if name == "style":
        return
    moved = np.abs(after.masks - before.masks).max(0)
    own = np.maximum(before.mask(element_of(pair.source, name)), after.mask(element_of(pair.target, name)))
    concerned = np.maximum(moved, own) > 0.02
    if not concerned.all():
        assert difference[concerned].mean() > difference[~concerned].mean()


LOCAL = {
    "portrait": ("glasses", "smile", "beard", "hat", "hat_colour", "shirt_colour"),
    "table": ("flowers", "colour"),
    "landscape": ("building",),
}


@pytest.mark.parametrize(("kind", "name"), [(k, n) for k, names in LOCAL.items() for n in names])
def test_a_local_edit_leaves_most_of_the_picture(kind, name):
    change = next(c for c in CATALOGUE[kind] if c.attribute == name)
    for number in range(2):
        rng = np.random.default_rng(number)
        pair = next(
            p for p in (make_pair(kind, rng, change=change) for _ in range(50)) if p.source.style == "photo"
        )
        assert np.median(pair.region(64)) < 0.01
        assert 0.001 < pair.region(64).mean() < 0.5


@pytest.mark.parametrize("number", range(3))
def test_glasses_do_not_touch_the_background(number):
    scene = scene_number("portrait", number, hat="none", glasses="none", style="photo")
    before, after = render(scene, 96), render(edit(scene, glasses="sunglasses"), 96)
    outside = (before.mask("background") == 1.0) & (after.mask("background") == 1.0)
    np.testing.assert_array_equal(before.rgb[outside], after.rgb[outside])


@every_kind
def test_regions_are_exact(kind):
    """Outside of its region nothing differs, and the region is nowhere without a difference."""
    for pair in pairs(kind, 5, seed=1):
        before, after = pair.pictures(64)
        region = pair.region(64)
        colours, masks = np.abs(after.rgb - before.rgb).max(2), np.abs(after.masks - before.masks).max(0)
        outside = region == 0.0
        assert (colours[outside] <= TOLERANCE).all()
        assert (masks[outside] == 0.0).all()
        assert ((colours > TOLERANCE) | (masks > 0.0))[region > 0.0].all()


@every_kind
def test_pairs_are_reproducible_and_change_one_attribute(kind):
    first, second = (list(pairs(kind, 6, seed=5)) for _ in range(2))
    assert first == second
    assert first[3] == list(pairs(kind, 4, seed=5))[3]
    for pair in first:
        assert replace(pair.source, **{pair.attribute: getattr(pair.target, pair.attribute)}) == pair.target
        assert pair.source != pair.target
        assert ATTRIBUTES[kind][pair.attribute].applies(pair.source)


@every_kind
def test_pairs_of_the_training_distribution_hold_nothing_held_out(kind):
    for pair in pairs(kind, 8, seed=7, held_out=False):
        assert not is_held_out(pair.source)
        assert not is_held_out(pair.target)


@every_kind
def test_the_captions_of_a_pair_differ_in_a_few_words(kind):
    found = list(pairs(kind, 12, seed=9))
    assert sum(bool(pair.source_words or pair.target_words) for pair in found) >= 10
    for pair in found:
        for words, told in (
            (pair.source_words, pair.source_caption),
            (pair.target_words, pair.target_caption),
        ):
            assert set(words) <= {word.text for word in told.words}
            assert len(told.words) <= MOST_WORDS


@pytest.mark.slow
def test_an_edit_that_cannot_be_seen_is_refused():
    change = replace(CATALOGUE["portrait"][0], source="man", target="man", attribute="person")
    with pytest.raises(ValueError, match="no scene of kind portrait shows"):
        make_pair("portrait", np.random.default_rng(0), change=change)
