"""The options in which the command line says what a sentence says in the titles of a form."""

import pytest

from velatura.cli.hints import with_a_hint
from velatura.methods.registry import describe, registry
from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.errors import VelaturaError


@pytest.mark.parametrize(
    ("method", "sentence", "hint"),
    [
        (
            "face-dials",
            "No face was found here; let “The face is” say “Where the selection is”.",
            "--set place=selection",
        ),
        ("styleclip-direction", "Lower “Only what belongs”.", "--set only=…"),
        ("editgan", "“Repainted parts” has colours of no part.", "--input parts=FILE"),
        ("styleclip-mapper", "Switch on “Shape” or “Colours”.", "--set coarse=…, --set fine=…"),
        ("editgan", "The model is gone; choose “another” one.", ""),
    ],
)
def test_a_sentence_about_fields_of_a_form_is_followed_by_their_options(method, sentence, hint):
    info = MethodInfo.from_wire(describe(registry()[method]))
    assert info is not None
    error = VelaturaError("bad-request", sentence)
    assert with_a_hint(error, info.edit("", {}, model="", seed=1, variations=1), info).hint == hint


def test_a_hint_that_an_error_has_stays():
    info = MethodInfo.from_wire(describe(registry()["editgan"]))
    assert info is not None
    error = VelaturaError("bad-request", "“Steps” is missing.", hint="own")
    assert with_a_hint(error, info.edit("", {}, model="", seed=1, variations=1), info).hint == "own"
