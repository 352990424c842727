"""Headers of files that nobody can trust: every fault is a sentence, and nothing is computed from it."""

from __future__ import annotations

import json
import pickle
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.models import layouts as real
from velatura.models import fingerprints
from velatura.models.headers import Header, bits_of, read_header
from velatura_protocol.errors import VelaturaError

SENTENCES = ("is not a .safetensors or .gguf file; choose one", "a download broke off; fetch it again.")
SAFETENSORS, GGUF = "model.safetensors", "model.gguf"


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """The bytes of one file of each form."""
    folder = tmp_path_factory.mktemp("files")
    small = {"a.weight": (4, 8), "b.weight": (2, 256), "c": ()}
    real.write(folder / SAFETENSORS, small)
    real.write_gguf(folder / GGUF, small, {"general.architecture": "flux", "n": 3, "tokens": ["a", "bc"]})
    return {name: (folder / name).read_bytes() for name in (SAFETENSORS, GGUF)}


def read(folder: Path, data: bytes) -> Header | None:
    """The header of these bytes; None for a refusal, which must be one of the sentences."""
    path = folder / "x.safetensors"
    path.write_bytes(data)
    try:
        return read_header(path)
    except VelaturaError as error:
        assert error.code == "unknown-model" and any(one in error.message for one in SENTENCES)
        assert error.message.count(". ") == 0
        return None


def test_what_a_header_says(files, tmp_path):
    header = read(tmp_path, files[GGUF])
    assert header.shapes == {"a.weight": (4, 8), "b.weight": (2, 256), "c": ()}
    assert header.dtypes == {"a.weight": "F32", "b.weight": "Q4_K", "c": "F32"}
    assert header.metadata == {"general.architecture": "flux", "n": "3"}
    assert header.weights() == {"F32": 4 * 33, "Q4_K": 2 * 144}
    header = read(tmp_path, files[SAFETENSORS])
    assert (header.form, header.weights()) == ("safetensors", {"F16": 2 * (32 + 512 + 1)})
    assert header.weights("a.") == {"F16": 64}
    assert bits_of("Q8_0") == 8.5 and bits_of("F8_E4M3") == 8


@pytest.mark.parametrize("name", [SAFETENSORS, GGUF])
def test_a_file_that_is_cut_off_anywhere(files, tmp_path, name):
    whole = files[name]
    assert read(tmp_path, whole) is not None
    for length in range(len(whole)):
        assert read(tmp_path, whole[:length]) is None


@pytest.mark.parametrize("name", [SAFETENSORS, GGUF])
@given(data=st.data())
@settings(deadline=None, max_examples=150)
def test_any_byte_may_be_wrong(files, tmp_path_factory, name, data):
    whole = bytearray(files[name])
    for _ in range(data.draw(st.integers(1, 4))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    header = read(tmp_path_factory.mktemp("x"), bytes(whole))
    if header is not None:
        assert all(n >= 0 for shape in header.shapes.values() for n in shape)
        fingerprints.contents(header, "x")


@given(data=st.binary(max_size=200), start=st.sampled_from([b"", b"GGUF\3\0\0\0", b"PK\3\4", b"\x80\4"]))
@settings(deadline=None, max_examples=100)
def test_bytes_of_any_kind(tmp_path_factory, data, start):
    read(tmp_path_factory.mktemp("x"), start + data)


_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
_entry = st.fixed_dictionaries(
    {},
    optional={
        "dtype": st.sampled_from(["F16", "U8", "Q4_K", "x"]) | _json,
        "shape": st.lists(st.integers(-1, 2**62), max_size=9) | _json,
        "data_offsets": st.lists(st.integers(-1, 2**62), min_size=2, max_size=2) | _json,
    },
)


@given(entries=st.dictionaries(st.text(max_size=12), _entry | _json, max_size=5), more=st.integers(0, 64))
@settings(deadline=None, max_examples=200)
def test_json_of_any_kind(tmp_path_factory, entries, more):
    header = json.dumps(entries).encode()
    read(tmp_path_factory.mktemp("x"), struct.pack("<Q", len(header)) + header + bytes(more))


@pytest.mark.parametrize(
    "counts", [(2**63, 0), (0, 2**63), (30_000, 0), (0, 30_000), (2**32, 2**32)], ids=str
)
def test_counts_that_no_file_can_have(tmp_path, counts):
    assert read(tmp_path, b"GGUF" + struct.pack("<IQQ", 3, *counts) + bytes(64)) is None


def test_arrays_and_texts_that_no_file_can_have(tmp_path):
    start = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", 1) + b"a"
    for of, count in ((8, 2**60), (4, 2**62), (9, 3), (77, 1)):
        assert read(tmp_path, start + struct.pack("<IIQ", 9, of, count) + bytes(64)) is None
    assert read(tmp_path, start + struct.pack("<IQ", 8, 2**62) + bytes(64)) is None
    assert read(tmp_path, start + struct.pack("<I", 78) + bytes(64)) is None


def test_pickles_archives_and_endless_nesting(tmp_path):
    deep = b"[" * 200_000 + b"]" * 200_000
    for data in (pickle.dumps({"a": 1}), b"PK\3\4" + bytes(100), b"", struct.pack("<Q", len(deep)) + deep):
        assert read(tmp_path, data) is None


def test_an_attention_without_a_shape_is_no_fault():
    shapes = real.sd1_checkpoint()
    key = "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight"
    assert key in shapes
    shapes = {**shapes, key: ()}
    fingerprints.contents(Header(shapes, {}, dict.fromkeys(shapes, "F16")), "x")


@given(
    name=st.sampled_from(["sd1", "sdxl", "sd3", "flux1", "flux2", "z_image", "qwen"]),
    data=st.data(),
)
@settings(deadline=None, max_examples=150)
def test_shapes_of_any_kind_are_named_or_not_but_never_a_fault(name, data):
    tables = {
        "sd1": real.sd1_checkpoint(),
        "sdxl": real.sdxl_checkpoint(),
        "sd3": real.sd35_checkpoint(),
        "flux1": real.flux1_checkpoint(),
        "flux2": real.flux2(3072, 7680),
        "z_image": real.z_image(),
        "qwen": real.qwen_image(),
    }
    shapes = dict(tables[name])
    for _ in range(data.draw(st.integers(1, 5))):
        key = data.draw(st.sampled_from(sorted(shapes)))
        if data.draw(st.booleans()) and len(shapes) > 1:
            del shapes[key]
        else:
            shapes[key] = tuple(data.draw(st.lists(st.integers(0, 5000), max_size=5)))
    seen = fingerprints.contents(Header(shapes, {}, dict.fromkeys(shapes, "F16")), "x")
    assert seen is None or seen.title
