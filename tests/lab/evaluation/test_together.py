"""The study of two dials at once: its cases, what the rows are asked for, and its measures."""

from dataclasses import replace

import numpy as np
import pytest

from tests.lab.evaluation.test_flow_studies import reader  # noqa: F401
from velatura_lab.evaluation import together
from velatura_lab.evaluation.cases import to_images
from velatura_lab.evaluation.encoders import home_made
from velatura_lab.evaluation.session import Options
from velatura_lab.evaluation.sliders import graded
from velatura_lab.evaluation.together import MEASURES, Turned, twos


@pytest.fixture(scope="module")
def two():
    changes = {change.name: change for change in graded("portrait")}
    (found,) = twos("portrait", (changes["older"], changes["longer hair"]), 1, 7, 64)
    return found


def test_a_case_has_two_changes_of_one_picture(two):
    second = two.second
    assert (two.attribute, second.attribute) == ("age", "hair_length")
    assert (two.source == second.source).all() and two.source_prompt == second.source_prompt
    assert two.target_prompt != second.target_prompt and "long" in second.new_thing
    assert (two.region >= second.region).all() and (two.region > second.region).any()
    assert not {"age", "hair_length"} & set(two.kept) and "skin" in two.kept
    again = replace(two, second=replace(second, target_prompt="another"))
    assert again.digest != two.digest


@pytest.mark.parametrize("row", together.ROWS)
def test_a_row_gives_the_first_the_second_and_both(reader, two, row):  # noqa: F811
    settings = {"steps": 4, "only_changes": False, "even": False}
    (turned,) = together.editors(reader, Options(methods=[row]), settings)
    first, second, both = turned.edit(two, [3]).pictures.astype(float)
    source = two.source.astype(float)
    assert np.abs(first - source).mean() > 0.0 and np.abs(second - source).mean() > 0.0
    assert (both != first).any() and (both != second).any()


def test_measures_of_two_dials(two):
    exact, other = two.target, two.second.target
    changed = two.second.region[..., None] > 0.0
    both = np.where(changed, other, exact)
    found = Turned(two, np.stack([exact, other, both]), home_made())
    assert np.isnan(MEASURES["ratio"].of(found)) and MEASURES["leakage"].of(found) < 0.1
    assert MEASURES["kept"].of(found) > 0.5
    assert not np.array_equal(to_images(found.pictures)[0], to_images(found.pictures)[2])
    grey = [
        np.clip(picture.astype(int) + by, 0, 255).astype(np.uint8)
        for picture, by in zip((exact, other, both), (4, 8, 12), strict=True)
    ]
    ratio = MEASURES["ratio"].of(Turned(two, np.stack(grey), home_made()))
    assert ratio == pytest.approx(1.5, abs=0.1)


def test_both_change_where_each_degree_rises_by_half_of_what_its_dial_raises(two):
    found = Turned(two, np.stack([two.source] * 3), home_made())
    (reading, *_) = found.readings()

    def of(*degrees):
        found.readings = lambda: [
            replace(reading, kind="portrait", values={"age": age, "hair_length": hair})
            for age, hair in degrees
        ]
        return MEASURES["both"].of(found)

    assert of((0.1, 0.1), (0.5, 0.1), (0.1, 0.5), (0.4, 0.4)) == 1.0
    assert of((0.1, 0.1), (0.5, 0.1), (0.1, 0.5), (0.4, 0.2)) == 0.0
    assert np.isnan(of((0.1, 0.1), (0.11, 0.1), (0.1, 0.5), (0.4, 0.4)))
