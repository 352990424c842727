"""The layer that a result was made from, found again in the real GIMP after it was copied or duplicated."""

from __future__ import annotations

import sys

import pytest

from tests.gimp.conftest import INSIDE, PLUGIN

sys.path.insert(0, str(PLUGIN))

from velatura_plugin.evidence import Candidate, decide, named

pytestmark = [pytest.mark.gimp, pytest.mark.timeout(450)]


@pytest.fixture(scope="module")
def origins(gimp):
    plugin = gimp.profile / "plug-ins" / PLUGIN.name
    return gimp.python(INSIDE / "origins.py", plugin=plugin, timeout=400)


@pytest.mark.parametrize("scene", ["duplicated", "opened"])
def test_a_number_that_leads_to_another_layer_is_not_followed(origins, scene):
    by_number, found = origins[scene]
    assert by_number == "decoy"
    assert found.startswith("source")


@pytest.mark.parametrize(
    ("scene", "found"),
    [
        ("duplicated_and_painted", "source"),
        ("copied", "source"),
        ("copy_painted", ["source", "source"]),
        ("alone", "source"),
    ],
)
def test_what_is_certain_is_not_asked(origins, scene, found):
    assert origins[scene] == found


@pytest.mark.parametrize(
    ("scene", "found"),
    [
        ("backed_up", ["backup", "source"]),
        ("confused", ["copy", "source"]),
        ("replaced", ["copy", ["copy"]]),
        ("unmarked", ["source", []]),
        ("damaged", ["source"] * 5),
    ],
)
def test_what_is_in_doubt_is_told_and_not_guessed(origins, scene, found):
    assert origins[scene] == found


def test_a_result_without_its_source_takes_no_other_layer_of_that_number(origins):
    assert origins["lost"] == [True, []]


def test_a_channel_that_was_found_knows_its_layer_in_a_duplicate(origins):
    assert origins["found"] == ["decoy", "source", "source"]


def test_a_recipe_run_in_a_duplicate_gives_the_same_pixels(origins):
    assert origins["in_a_duplicate"] == ["", True]


def test_a_script_is_told_the_layers_that_it_may_be_and_can_name_one(origins):
    found = origins["in_doubt"]
    assert "“backup” or “source”" in found["doubt"]
    assert "script" in found["doubt"]
    assert found["unchanged"]
    assert found["error"] == ""
    assert found["same"]
    assert found["found"] == "backup"
    for status, sentence in found["refused"]:
        assert status == "execution-error"
        assert "not another layer of this picture" in sentence


def test_a_layer_is_marked_once_and_a_copy_with_its_own_mark(origins):
    once, marks, of_the_copy = origins["marks"]
    assert once
    assert marks == [1, 1, 2]
    assert of_the_copy == "copy"


@pytest.mark.parametrize(
    ("layers", "is_home", "found"),
    [
        ("", True, []),
        ("...", True, []),
        ("mna", True, "mna"),
        ("mn. ..a", True, "mn."),  # the only one that bears the mark
        ("m.. ..a", False, "m.."),
        ("m.. .na", True, "m.."),  # home by chance: another has the number
        ("m.. ...", True, ["m.."]),  # a copy of what is gone, painted on
        ("m.a ...", True, "m.a"),
        ("mna m.a", True, "mna"),
        ("mn. m..", True, "mn."),
        ("mn. m.a", True, ["mn.", "m.a"]),
        ("mn. m.a", False, "m.a"),
        ("m.. m.a", False, "m.a"),
        ("m.. m..", False, ["m..", "m.."]),
        ("m.a m.a", False, ["m.a", "m.a"]),
        (".na ...", True, ".na"),
        (".n. ...", True, []),
        (".n. ..a", True, "..a"),
        ("..a ..a", False, ["..a", "..a"]),
    ],
)
def test_evidence(layers, is_home, found):
    """Each layer: m for marked, n for having the number, a for alike."""
    candidates = [
        Candidate(layer, layer[0] == "m", layer[1] == "n", lambda layer=layer: layer[2] == "a")
        for layer in layers.split()
    ]
    expected = (found, []) if isinstance(found, str) else (None, found)
    assert decide(candidates, is_home) == expected


def test_pixels_are_not_read_where_mark_and_number_agree():
    def read():
        raise AssertionError("read")

    candidates = [Candidate("source", True, True, read), Candidate("other", False, False, read)]
    assert decide(candidates, True) == ("source", [])


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["a"], "“a”"),
        (["a", "b", "a"], "“a” or “b”"),
        (["a", "b", "c"], "“a”, “b” or “c”"),
        (list("abcdef"), "“a”, “b”, “c”, “d” or 2 more"),
    ],
)
def test_layers_are_named_in_a_sentence(names, sentence):
    assert named(names) == sentence
