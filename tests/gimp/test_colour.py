"""The image's own colour space: sent as sRGB, written back as its own."""

from __future__ import annotations

import numpy as np
import pytest

from tests.gimp.conftest import INSIDE, install
from tests.hosts.gimp import GimpSession

pytestmark = [pytest.mark.gimp, pytest.mark.timeout(180)]

# IEC 61966-2-1 and Adobe RGB (1998), both D65.
SRGB_TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
ADOBE_TO_XYZ = np.array(
    [[0.57667, 0.18556, 0.18823], [0.29734, 0.62736, 0.07529], [0.02703, 0.07069, 0.99134]]
)
ADOBE_GAMMA = 563 / 256

ADOBE = np.array([0.6, 0.5, 0.4])  # within sRGB too


def _srgb_linear(adobe_linear: np.ndarray) -> np.ndarray:
    return np.linalg.inv(SRGB_TO_XYZ) @ ADOBE_TO_XYZ @ adobe_linear


def _srgb(linear: np.ndarray) -> np.ndarray:
    return np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)


CASES = {
    "U8_NON_LINEAR": ("u1", 255, "u8", "sRGB"),
    "U16_NON_LINEAR": ("<u2", 65535, "u16", "sRGB"),
    "FLOAT_LINEAR": ("<f4", 1, "f32", "sRGB-linear"),
}


def _native(precision: str) -> np.ndarray:
    kind, full, _, _ = CASES[precision]
    colour = ADOBE**ADOBE_GAMMA if precision == "FLOAT_LINEAR" else ADOBE
    values = np.append(colour, 1.0) * full
    return (values if full == 1 else values.round()).astype(kind)


@pytest.fixture(scope="module")
def colours(gimp_host, tmp_path_factory):
    folder = tmp_path_factory.mktemp("colour")
    natives = {precision: _native(precision).tobytes().hex() for precision in CASES}
    with GimpSession(gimp_host, folder / "gimp") as session:
        plugin = install(session, folder / "state")
        return session.python(INSIDE / "colour.py", plugin=plugin, **natives)


@pytest.mark.parametrize("precision", CASES)
def test_a_wide_gamut_image_is_sent_as_what_its_profile_says(colours, precision):
    kind, full, dtype, profile = CASES[precision]
    found = colours[precision]
    assert (found["dtype"], found["profile"]) == (dtype, profile)
    native = _native(precision)[:3].astype(float) / full
    linear = _srgb_linear(native if precision == "FLOAT_LINEAR" else native**ADOBE_GAMMA)
    expected = linear if precision == "FLOAT_LINEAR" else _srgb(linear)
    sent = np.frombuffer(bytes.fromhex(found["sent"]), kind)[:3].astype(float) / full
    assert np.abs(sent - expected).max() < (1.01 / 255 if dtype == "u8" else 1e-3)
    assert np.abs(sent - native).max() > 0.004  # it was converted at all


@pytest.mark.parametrize("precision", CASES)
def test_a_result_comes_back_in_the_images_own_colours(colours, precision):
    kind, full, dtype, _ = CASES[precision]
    back = np.frombuffer(bytes.fromhex(colours[precision]["back"]), kind).astype(float) / full
    native = _native(precision).astype(float) / full
    assert np.abs(back - native).max() < {"u8": 1.01 / 255, "u16": 3 / 65535, "f32": 1e-5}[dtype]
    assert colours[precision]["source"] == _native(precision).tobytes().hex()
