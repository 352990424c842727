"""Rasters and requests: what is wrong is refused with the right code, whatever it is."""

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest
from velatura_protocol.rasters import CHANNELS, DTYPES, Pixels, Raster
from velatura_protocol.requests import MAX_PROMPT, MAX_SEED, Request, blobs

from .test_messages import json_values

DIGEST = "blake2b:" + "0" * 64
RASTER = {
    "digest": DIGEST,
    "width": 64,
    "height": 48,
    "channels": "BGRA",
    "dtype": "u8",
    "profile": "sRGB",
    "rect": [-3, 5, 64, 48],
}
MASK = {**RASTER, "channels": "A", "width": 10, "height": 10, "rect": [0, 10, 10, 10]}
REQUEST = {
    "velatura": 1,
    "method": "sdedit",
    "method_version": 0,
    "model": {"id": "", "digest": ""},
    "prompt": "a hat",
    "seed": -1,
    "variations": 2,
    "parameters": {},
    "inputs": {"source": RASTER, "mask": MASK},
    "canvas": [64, 48],
}


def changed(value: dict, path: str, to: object) -> dict:
    """A copy in which the entry at a dotted path is another one."""
    value = copy.deepcopy(value)
    *way, last = path.split(".")
    at = value
    for key in way:
        at = at[key]
    at[last] = to
    return value


def code(call, value) -> str:
    with pytest.raises(VelaturaError) as caught:
        call(value)
    return caught.value.code


def test_a_raster_is_what_it_says():
    raster = Raster.from_wire({**RASTER, "from-the-future": 1})
    assert raster.to_wire() == RASTER
    assert raster.nbytes == 64 * 48 * 4
    assert Raster.from_wire({**RASTER, "channels": "GA", "dtype": "f32"}).nbytes == 64 * 48 * 2 * 4


@pytest.mark.parametrize("channels", CHANNELS)
@pytest.mark.parametrize("dtype", DTYPES)
def test_every_kind_of_pixel(channels, dtype):
    Raster.from_wire({**RASTER, "channels": channels, "dtype": dtype})


@pytest.mark.parametrize(("width", "height"), [(1, 1), (16384, 1), (1, 16384), (16384, 16384)])
def test_the_smallest_and_the_largest(width, height):
    raster = {**RASTER, "width": width, "height": height, "rect": [0, 0, width, height], "dtype": "f32"}
    assert Raster.from_wire(raster).nbytes == width * height * 16


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("width", 16385, "too-large"),
        ("height", 10**9, "too-large"),
        ("width", 0, "bad-layer"),
        ("height", -1, "bad-layer"),
        ("width", 63, "bad-layer"),
        ("width", True, "bad-request"),
        ("width", 64.0, "bad-request"),
        ("height", None, "bad-request"),
        ("channels", "CMYK", "unsupported-colour"),
        ("channels", ["B"], "bad-request"),
        ("dtype", "f64", "bad-layer"),
        ("dtype", 8, "bad-request"),
        ("profile", None, "bad-request"),
        ("profile", "x" * 201, "bad-request"),
        ("digest", "sha256:" + "0" * 64, "bad-request"),
        ("digest", None, "bad-request"),
        ("rect", [0, 0, 64], "bad-request"),
        ("rect", [0, 0, 64, True], "bad-request"),
        ("rect", [0.5, 0, 64, 48], "bad-request"),
        ("rect", [2**31, 0, 64, 48], "bad-request"),
        ("rect", [0, 0, 48, 64], "bad-layer"),
        ("rect", {}, "bad-request"),
    ],
)
def test_bad_rasters(key, value, expected):
    assert code(Raster.from_wire, {**RASTER, key: value}) == expected


@pytest.mark.parametrize(
    "change", [("inputs.mask", None), ("lease", True), ("draft", True), ("seed", MAX_SEED), ("prompt", "")]
)
def test_good_requests(change):
    Request.from_wire(REQUEST)
    Request.from_wire(changed(REQUEST, *change))


@pytest.mark.parametrize(
    ("path", "value", "expected"),
    [
        ("velatura", 2, "bad-request"),
        ("velatura", True, "bad-request"),
        ("method", "", "bad-request"),
        ("method", None, "bad-request"),
        ("method_version", -1, "bad-request"),
        ("model", "mini", "bad-request"),
        ("model.digest", "sha256:0", "bad-request"),
        ("prompt", None, "bad-request"),
        ("prompt", "x" * (MAX_PROMPT + 1), "prompt-too-long"),
        ("seed", -2, "bad-request"),
        ("seed", MAX_SEED + 1, "bad-request"),
        ("seed", 1.0, "bad-request"),
        ("variations", 0, "bad-request"),
        ("variations", 65, "bad-request"),
        ("parameters", [], "bad-request"),
        ("lease", 1, "bad-request"),
        ("draft", None, "bad-request"),
        ("canvas", [64], "bad-request"),
        ("canvas", [64, 0], "bad-request"),
        ("canvas", None, "bad-request"),
        ("inputs", None, "bad-request"),
        ("inputs.source", None, "bad-request"),
        ("inputs.source.channels", "A", "unsupported-colour"),
        ("inputs.mask.channels", "RGB", "bad-layer"),
        ("inputs.mask.rect", [61, 10, 10, 10], "mask-outside"),
        ("inputs.mask.rect", [0, 53, 10, 10], "mask-outside"),
        ("inputs.mask.rect", [-13, 10, 10, 10], "mask-outside"),
    ],
)
def test_bad_requests(path, value, expected):
    assert code(Request.from_wire, changed(REQUEST, path, value)) == expected


@pytest.mark.parametrize("rect", [[60, 10, 10, 10], [0, 52, 10, 10], [-12, 10, 10, 10]])
def test_a_mask_that_just_touches(rect):
    Request.from_wire(changed(REQUEST, "inputs.mask.rect", rect))


PATHS = [*REQUEST, *(f"inputs.source.{key}" for key in RASTER), "inputs.mask", "model.id", "model.digest"]


@given(st.sampled_from(PATHS), json_values)
def test_anything_anywhere_is_taken_or_refused(path, value):
    try:
        Request.from_wire(changed(REQUEST, path, value))
    except VelaturaError as error:
        assert error.message.endswith(".")


@given(json_values)
def test_anything_as_a_raster_or_request(value):
    for call in (Raster.from_wire, Request.from_wire):
        with pytest.raises(VelaturaError):
            call(value)


def test_a_profile_is_a_blob_beside_the_pixels():
    own = Pixels(b"\1\2\3", (0, 0, 1, 1), "RGB", "u8", "Wide", icc=b"profile")
    plain = Pixels(b"\4\5\6", (0, 0, 1, 1), "RGB", "u8", "sRGB")
    assert own.raster.icc == digest(b"profile") and plain.raster.icc == ""
    assert Raster.from_wire(own.raster.to_wire()) == own.raster
    assert "icc" not in plain.raster.to_wire()
    sent = blobs({"source": own, "mask": None, "style": plain})
    assert sent == {digest(data): data for data in (b"profile", b"\1\2\3", b"\4\5\6")}


@pytest.mark.parametrize("icc", ["blake2b:0", 7, None, ["x"]])
def test_a_profile_that_is_no_digest_is_refused(icc):
    described = Pixels(b"\1\2\3", (0, 0, 1, 1), "RGB", "u8", "Wide").raster.to_wire()
    with pytest.raises(VelaturaError) as refused:
        Raster.from_wire({**described, "icc": icc})
    assert refused.value.code == "bad-request"
