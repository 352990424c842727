"""The procedural world: scenes are values that follow their distribution, and captions say what is there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.lab.any_scene import every_kind, kinds, numbers, scene_number
from velatura_lab.world import (
    ATTRIBUTES,
    KINDS,
    STYLES,
    Landscape,
    Portrait,
    Table,
    Teller,
    caption,
    degree_class,
    degree_value,
    degree_word,
    elements,
    is_held_out,
    kind_of,
    render,
    sample_scene,
    vocabulary,
)
from velatura_lab.world.wording import MOST_WORDS

# --- scenes ---------------------------------------------------------------------------------------


def test_all_kinds_are_drawn_at_their_shares():
    rng = np.random.default_rng(0)
    names = [sample_scene(rng).kind for _ in range(400)]
    assert set(names) == set(KINDS) == {"portrait", "landscape", "table"}
    assert 0.22 < names.count("portrait") / 400 < 0.38
    assert 0.22 < names.count("landscape") / 400 < 0.38


@every_kind
def test_styles_are_drawn_at_their_shares(kind):
    rng = np.random.default_rng(0)
    names = [sample_scene(rng, kind).style for _ in range(300)]
    assert 0.6 < names.count("photo") / 300 < 0.8
    assert set(names) == set(STYLES)


@every_kind
def test_held_out_combinations_are_never_drawn_for_training(kind):
    rng = np.random.default_rng(1)
    assert not any(is_held_out(sample_scene(rng, kind)) for _ in range(1500))


@every_kind
def test_held_out_scenes_hold_such_a_combination(kind):
    rng = np.random.default_rng(2)
    assert all(is_held_out(sample_scene(rng, kind, held_out=True)) for _ in range(40))


@every_kind
def test_every_value_of_every_attribute_is_drawn(kind):
    rng = np.random.default_rng(3)
    scenes = [sample_scene(rng, kind) for _ in range(700)]
    for name, attribute in ATTRIBUTES[kind].items():
        seen = {getattr(scene, name) for scene in scenes}
        if attribute.degree:
            assert {degree_word(attribute, value) for value in seen} == set(attribute.degree), name
        else:
            assert seen == set(attribute.values), name


@pytest.mark.parametrize(("scene", "field"), [(Portrait(), "hat"), (Landscape(), "path"), (Table(), "thing")])
def test_an_unknown_word_is_refused(scene, field):
    with pytest.raises(ValueError, match=f"{field} must be one of"):
        replace(scene, **{field: "crown"})


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan"), "much", True, None])
def test_a_degree_is_a_number_from_0_to_1(value):
    with pytest.raises(ValueError, match="snow must be a number from 0 to 1"):
        Landscape(snow=value)


@given(kinds, st.floats(0.0, 1.0))
def test_degrees_and_their_words(kind, value):
    for attribute in ATTRIBUTES[kind].values():
        if attribute.degree:
            word = degree_word(attribute, value)
            assert word == attribute.degree[degree_class(attribute, value)]
            assert degree_word(attribute, degree_value(attribute, word)) == word
            assert abs(degree_value(attribute, word) - value) <= 0.5 / len(attribute.degree) + 1e-9


@every_kind
def test_kinds_describe_themselves_consistently(kind):
    module = KINDS[kind]
    scene = sample_scene(np.random.default_rng(0), kind)
    assert kind_of(scene) is module
    assert elements(kind) == elements(scene) == module.ELEMENTS
    assert len(set(module.ELEMENTS)) == len(module.ELEMENTS) <= 16
    assert 3 <= len(module.HELD_OUT) <= 4
    for name, attribute in ATTRIBUTES[kind].items():
        assert attribute.element in module.ELEMENTS, name
        assert bool(attribute.values) != bool(attribute.degree), name
        assert set(attribute.needs) <= set(ATTRIBUTES[kind]), name


# --- captions -------------------------------------------------------------------------------------


@settings(max_examples=300, deadline=None)
@given(kinds, numbers, st.booleans())
def test_captions_are_short_and_use_known_words(kind, number, canonical):
    scene = scene_number(kind, number)
    words = caption(scene, None if canonical else np.random.default_rng(number))
    assert 1 <= len(words.words) <= MOST_WORDS
    assert {word.text for word in words.words} <= set(vocabulary())
    assert words.elements() <= set(elements(kind))
    assert words.text == words.text.lower()
    assert "  " not in words.text
    assert not any(word.text == "none" for word in words.words)
    assert words.words[0].text != ","
    assert words.words[-1].text not in {",", "and", "with", "a", "an", "of"}


@settings(max_examples=40, deadline=None)
@given(kinds, numbers)
def test_captions_mention_only_what_can_be_seen(kind, number):
    scene = scene_number(kind, number)
    picture = render(scene, 48)
    rng = np.random.default_rng(number)
    for _ in range(4):
        told = caption(scene, rng, picture.shows).elements()
        assert all(picture.shows(name) for name in told), (told, scene)


@settings(max_examples=100, deadline=None)
@given(numbers)
def test_a_portraits_caption_mentions_nothing_absent(number):
    scene = scene_number("portrait", number)
    about = caption(scene, np.random.default_rng(number)).elements()
    assert "beard" not in about or scene.beard
    assert "glasses" not in about or scene.glasses != "none"
    assert "hat" not in about or scene.hat != "none"
    assert "mouth" not in about or scene.smile


@every_kind
def test_paraphrases_differ(kind):
    rng = np.random.default_rng(1)
    scene = scene_number(kind, 12)
    assert len({caption(scene, rng).text for _ in range(40)}) > 20


@every_kind
def test_a_style_is_named(kind):
    rng = np.random.default_rng(2)
    for style, word in (("watercolour", "watercolo"), ("ink", "drawing"), ("child", "drawing")):
        scene = scene_number(kind, 13, style=style)
        assert word in caption(scene).text
        assert sum(word in caption(scene, rng).text for _ in range(20)) >= 15


def test_a_teller_without_chance_says_everything_in_first_words():
    teller = Teller()
    assert teller.say(0.0, "sky")
    assert teller.pick(("first", "second")) == "first"
    assert not teller.chance(1.0)
    assert [word.text for word in teller.series([teller.plain(text) for text in "xyz"])] == [
        "x",
        ",",
        "y",
        "and",
        "z",
    ]
    assert Teller(visible=lambda element: False).say(1.0, "sky") is False


@pytest.mark.parametrize(
    ("kind", "prompt"),
    [
        ("portrait", "a woman with blond hair"),
        ("landscape", "a river between mountains"),
        ("landscape", "a castle next to a river"),
        ("landscape", "trees in blossom"),
        ("landscape", "a children drawing of a castle"),
        ("table", "a basket full of apples"),
    ],
)
def test_prompts_as_people_type_them_are_in_the_vocabulary(kind, prompt):
    assert set(prompt.split()) <= set(vocabulary())
    assert set(prompt.split()) <= KINDS[kind].vocabulary() | set(vocabulary())
