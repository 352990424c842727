"""The procedural world: one scene gives one picture, masks are exact, captions say what is there."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from velatura.world import ELEMENTS, Scene, View, caption, edit, render, sample_scene, vocabulary

numbers = st.integers(0, 2**31 - 1)


def scene_number(number: int) -> Scene:
    return sample_scene(np.random.default_rng(number))


def halved(picture: np.ndarray) -> np.ndarray:
    """Means of 2 x 2 blocks of the last two axes."""
    *rest, h, w = picture.shape
    return picture.reshape(*rest, h // 2, 2, w // 2, 2).mean((-3, -1))


@settings(max_examples=20, deadline=None)
@given(numbers)
def test_the_same_scene_gives_the_same_bytes(number):
    a, b = (render(scene_number(number), 48) for _ in range(2))
    assert a.to_bytes().tobytes() == b.to_bytes().tobytes()
    assert a.masks.tobytes() == b.masks.tobytes()


@settings(max_examples=30, deadline=None)
@given(numbers)
def test_masks_share_every_pixel_out(number):
    masks = render(scene_number(number), 48).masks
    assert masks.shape == (len(ELEMENTS), 48, 48)
    assert masks.min() >= 0.0
    np.testing.assert_allclose(masks.sum(0), 1.0, atol=1e-4)


@settings(max_examples=30, deadline=None)
@given(numbers)
def test_an_element_has_a_mask_exactly_where_the_scene_has_it(number):
    scene = scene_number(number)
    area = dict(zip(ELEMENTS, render(scene, 64).masks.mean((1, 2)), strict=True))
    assert (area["beard"] > 0) == scene.beard
    assert (area["glasses"] > 0) == (scene.glasses != "none")
    assert (area["hat"] > 0) == (scene.hat != "none")
    assert min(area[name] for name in ("background", "shirt", "face", "mouth")) > 0.001


@pytest.mark.parametrize("number", range(4))
def test_twice_the_resolution_is_the_same_picture(number):
    small, large = (render(scene_number(number), size) for size in (96, 192))
    assert np.abs(halved(np.moveaxis(large.rgb, 2, 0)) - np.moveaxis(small.rgb, 2, 0)).mean() < 0.006
    assert np.abs(halved(large.masks) - small.masks).mean() < 0.004


def test_a_view_is_a_part_of_the_whole():
    scene = scene_number(3)
    part, whole = render(scene, 64, View(0.0, 0.0, 2.0)), render(scene, 128)
    assert np.abs(part.rgb[2:-2, 2:-2] - whole.rgb[34:94, 34:94]).max() < 0.02


@pytest.mark.parametrize(
    "change", [{"glasses": "glasses"}, {"hat": "beanie"}, {"beard": True}, {"smile": True}]
)
def test_an_edit_leaves_the_rest_of_the_picture(change):
    scene = edit(
        scene_number(5),
        person="man",
        hair_style="short",
        glasses="none",
        hat="none",
        beard=False,
        smile=False,
    )
    before, after = render(scene, 96), render(edit(scene, **change), 96)
    difference = np.abs(after.rgb - before.rgb).max(2)
    assert difference.max() > 0.2
    assert np.median(difference) < 1e-3
    changed = np.abs(after.masks - before.masks).max(0) > 0.5
    assert difference[changed].mean() > 10.0 * difference[~changed].mean()


def test_background_is_not_touched_by_glasses():
    scene = edit(scene_number(6), hat="none", glasses="none")
    before, after = render(scene, 96), render(edit(scene, glasses="sunglasses"), 96)
    outside = (before.mask("background") == 1.0) & (after.mask("background") == 1.0)
    np.testing.assert_array_equal(before.rgb[outside], after.rgb[outside])


def test_an_unknown_word_is_refused():
    with pytest.raises(ValueError, match="hat must be one of"):
        Scene(hat="crown")


def test_the_canonical_caption_says_everything():
    scene = Scene(
        person="man",
        skin="dark",
        hair_style="curly",
        hair_colour="grey",
        beard=True,
        glasses="sunglasses",
        smile=True,
        hat="beanie",
        hat_colour="white",
        shirt_colour="purple",
        background="orange",
    )
    assert caption(scene).text == (
        "a photo of a smiling man with dark skin, curly grey hair, a grey beard and sunglasses, "
        "wearing a white beanie and a purple shirt, orange background"
    )


@settings(max_examples=200, deadline=None)
@given(numbers)
def test_captions_use_known_words_and_mention_nothing_absent(number):
    scene, words = scene_number(number), caption(scene_number(number), np.random.default_rng(number))
    assert {word.text for word in words.words} <= set(vocabulary())
    about = words.elements()
    assert "beard" not in about or scene.beard
    assert "glasses" not in about or scene.glasses != "none"
    assert "hat" not in about or scene.hat != "none"
    assert "mouth" not in about or scene.smile
    assert "face" in about


def test_what_is_out_of_view_is_not_mentioned():
    scene = Scene(hat="hat", glasses="glasses", smile=True)
    rng = np.random.default_rng(0)
    for _ in range(50):
        words = caption(scene, rng, visible={"face", "glasses"}.__contains__)
        assert words.elements() <= {"face", "glasses"}


def test_paraphrases_differ():
    rng = np.random.default_rng(1)
    assert len({caption(Scene(glasses="glasses", smile=True), rng).text for _ in range(40)}) > 25
