"""The image's own colour space: its bytes are sent as they are, with a profile that says what they mean."""

from __future__ import annotations

import json

import numpy as np
import pytest

from tests.colour import profiles
from tests.gimp.conftest import INSIDE
from velatura.colour import of_icc, of_wire
from velatura_protocol.messages import digest

pytestmark = [pytest.mark.gimp, pytest.mark.timeout(300)]

#: name: precision, gray, profile, and the type of the bytes.
CASES = {
    "Adobe RGB at 8 bits": ("U8_NON_LINEAR", False, profiles.ADOBE.icc, "<u1"),
    "ProPhoto at 16 bits": ("U16_NON_LINEAR", False, profiles.PROPHOTO.icc, "<u2"),
    "P3 in linear 16 bits": ("U16_LINEAR", False, profiles.DISPLAY_P3.icc, "<u2"),
    "Adobe RGB in linear floats": ("FLOAT_LINEAR", False, profiles.ADOBE.icc, "<f4"),
    "Adobe RGB in perceptual floats": ("FLOAT_PERCEPTUAL", False, profiles.ADOBE.icc, "<f4"),
    "linear Rec. 2020 in halves": ("HALF_NON_LINEAR", False, profiles.REC2020.icc, "<f2"),
    "gray": ("U16_NON_LINEAR", True, profiles.GRAY.icc, "<u2"),
    "tables": ("U16_NON_LINEAR", False, profiles.TABLE.icc, "<u2"),
}
DTYPES = {"<u1": "u8", "<u2": "u16", "<f2": "f16", "<f4": "f32"}


@pytest.fixture(scope="module")
def colours(gimp):
    cases = [[name, *case[:2], case[2].hex()] for name, case in CASES.items()]
    plugin = str(gimp.profile / "plug-ins/velatura_gimp")
    return gimp.python(INSIDE / "colour.py", plugin=plugin, cases=cases, edited=profiles.PROPHOTO.icc.hex())


@pytest.mark.parametrize("name", CASES)
def test_a_layer_is_sent_as_it_is_and_comes_back_to_the_bit(colours, name):
    found = colours[name]
    assert found["dtype"] == DTYPES[CASES[name][3]]
    assert found["as_it_is"] and found["back"]


@pytest.mark.parametrize("name", CASES)
def test_the_profile_says_what_the_bytes_mean(colours, name):
    _, gray, _, kind = CASES[name]
    found = colours[name]
    native = np.frombuffer(bytes.fromhex(found["native"]), kind).astype(np.float32)
    native = native.reshape(48, 64, 2 if gray else 4)[..., :-1]
    native /= np.float32({"<u1": 255, "<u2": 65535}.get(kind, 1))
    space = of_wire(found["profile"], bytes.fromhex(found["icc"]), gray)
    by_gimp = np.frombuffer(bytes.fromhex(found["gimp"]), "<f4").reshape(48, 64, 4)[..., :3]
    if name == "tables":  # GIMP takes them for sRGB itself when it converts
        assert space == of_icc(profiles.TABLE.icc, gray=False)
        return
    # Below 0, outside sRGB's gamut, GIMP extends sRGB's curve by its straight part.
    off = np.abs(space.to_srgb(native).clip(0.0) - by_gimp.clip(0.0))
    assert off.max() < 0.005


def test_an_edit_of_a_wide_image_is_in_its_own_space(colours):
    found = colours["edited"]
    assert found["error"] == ""
    assert found["kept"] and found["in_place"]
    recipe = json.loads(found["recipe"])
    assert recipe["inputs"]["source"]["icc"] == digest(profiles.PROPHOTO.icc)
    assert recipe["inputs"]["source"]["dtype"] == "u16"
