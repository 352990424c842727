"""Portraits: degrees grow what they name, edits leave the rest alone, captions say what is there."""

from dataclasses import replace

import numpy as np
import pytest

from velatura_lab.world import CATALOGUE, View, caption, render
from velatura_lab.world.portrait import ATTRIBUTES, HELD_OUT, Portrait, sample

MAN = Portrait(person="man", hair_style="short", hair_colour="grey")
GROWING = {
    "beard_length": (replace(MAN, beard=True), "beard"),
    "smile_width": (replace(MAN, smile=True), "mouth"),
    "glasses_size": (replace(MAN, glasses="sunglasses"), "glasses"),
    "hair_length": (replace(MAN, hair_style="curly"), "hair"),
}


@pytest.mark.parametrize("name", sorted(GROWING))
def test_a_degree_grows_its_element(name):
    scene, element = GROWING[name]
    areas = [
        render(replace(scene, **{name: value}), 128).mask(element).sum() for value in np.linspace(0, 1, 6)
    ]
    assert np.all(np.diff(areas) > 0.04 * areas[0])


def test_age_moves_the_face_further_and_further():
    young, *older = (render(replace(MAN, age=value), 128).rgb for value in np.linspace(0, 1, 5))
    change = [np.abs(picture - young).mean() for picture in older]
    assert np.all(np.diff([0.0, *change]) > 0.0005)


@pytest.mark.parametrize("change", [{"beard": True}, {"smile": True}, {"shirt_pattern": "striped"}])
def test_the_eyes_stay(change):
    view = View(0.0, MAN.setting.centre_y - 0.06 * MAN.setting.scale, 9.0)
    before, after = render(MAN, 48, view), render(replace(MAN, **change), 48, view)
    assert np.abs(after.rgb - before.rgb).max() < 0.02


def test_a_grey_beard_is_grey():
    picture = render(replace(MAN, beard=True, beard_length=0.7), 128)
    colours = picture.rgb[picture.mask("beard") > 0.95]
    assert np.ptp(colours.mean(0)) < 0.05


def test_degrees_in_words():
    scene = replace(
        MAN, age=0.9, beard=True, beard_length=0.9, glasses="glasses", glasses_size=0.1, smile=True
    )
    assert caption(scene).text == (
        "a photo of a smiling old man with light skin, short grey hair, a long grey beard and small glasses, "
        "wearing a blue shirt, grey background"
    )


def test_a_person_may_have_no_hair():
    scene = replace(MAN, hair_style="none", beard=True)
    picture, other = render(scene, 128), render(replace(scene, hair_colour="red", beard=False), 128)
    assert picture.mask("hair").max() == 0.0
    # where the crown was there is skin, light and smooth
    crown = render(replace(MAN, hair_style="short"), 128).mask("hair") > 0.95
    assert (picture.mask("face")[crown] > 0.5).mean() > 0.6
    brows = np.abs(other.rgb - render(replace(scene, beard=False), 128).rgb).max(-1) > 0.05
    assert 0 < brows.mean() < 0.01  # nothing else has the colour of the hair
    told = caption(scene)
    assert "no hair and a" in told.text and not {"hair"} & told.elements()
    rng = np.random.default_rng(3)
    assert any("bald" in caption(scene, rng).text for _ in range(20))
    assert not ATTRIBUTES["hair_colour"].applies(scene)
    assert {"add short hair", "remove long hair"} <= {change.name for change in CATALOGUE["portrait"]}


def test_combinations_are_kept_out_of_training():
    rng = np.random.default_rng(0)
    for scene in (sample(rng) for _ in range(500)):
        assert not any(
            all(getattr(scene, name) == value for name, value in held.items()) for held in HELD_OUT
        )
