"""Frames, limits, digests; whatever comes, only `bad-message` is raised."""

import json
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from velatura_protocol.errors import CODES, VelaturaError
from velatura_protocol.messages import (
    MAX_DEPTH,
    MAX_INTEGER,
    MAX_JSON,
    MAX_PAYLOAD,
    BadMessage,
    canonical,
    check_protocol,
    decode,
    digest,
    encode,
    error_answer,
    is_digest,
    request_digest,
)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER)
    | st.floats(allow_nan=False, allow_infinity=False) | st.text(st.characters(exclude_categories=["Cs"])),
    lambda children: st.lists(children, max_size=4)
    | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), children, max_size=4),
    max_leaves=20,
)  # fmt: skip


def nested(levels: int) -> dict:
    value: dict = {}
    for _ in range(levels - 1):
        value = {"a": value}
    return {**value, "type": "x"}


@given(
    st.dictionaries(st.text("abc", max_size=3), json_values, max_size=4), st.none() | st.binary(max_size=99)
)
def test_what_is_encoded_is_decoded(fields, payload):
    message = {**fields, "type": "test", "seq": 1}
    decoded, body = decode(encode(message, payload))
    assert decoded == message
    assert (None if body is None else bytes(body)) == payload


def test_payloads_are_not_copied():
    payload = bytearray(b"pixels")
    frames = encode({"type": "chunk"}, payload)
    assert frames[1] is payload
    payload[0] = 0
    assert decode(frames)[1][0] == 0


def test_a_payload_is_measured_in_bytes():
    floats = memoryview(bytearray(MAX_PAYLOAD + 4)).cast("f")
    with pytest.raises(BadMessage):
        encode({"type": "chunk"}, floats)


BAD = {
    "nothing": [],
    "three frames": [b"{}", b"", b""],
    "empty": [b""],
    "not utf-8": [b'{"type": "\xff"}'],
    "utf-16": ['{"type": "x"}'.encode("utf-16")],
    "byte order mark": [b"\xef\xbb\xbf" + b'{"type": "x"}'],
    "no object": [b"[]"],
    "no type": [b"{}"],
    "type is no text": [b'{"type": 1}'],
    "nan": [b'{"type": "x", "a": NaN}'],
    "infinity": [b'{"type": "x", "a": -Infinity}'],
    "infinite by size": [b'{"type": "x", "a": 1e999}'],
    "huge integer": [b'{"type": "x", "a": %d}' % 2**53],
    "negative huge integer": [b'{"type": "x", "a": [-%d]}' % 2**53],
    "integer of many digits": [b'{"type": "x", "a": ' + b"9" * 100_000 + b"}"],
    "half a pair": [rb'{"type": "x", "a": "\ud800"}'],
    "half a pair as key": [rb'{"type": "x", "\uDFff": 1}'],
    "too deep": [json.dumps(nested(MAX_DEPTH + 1)).encode()],
    "deep as the stack": [b"[" * 200_000],
    "too long": [b'{"type": "' + b"x" * MAX_JSON + b'"}'],
    "payload too long": [b'{"type": "x"}', bytes(MAX_PAYLOAD + 1)],
    "seq negative": [b'{"type": "x", "seq": -1}'],
    "seq true": [b'{"type": "x", "seq": true}'],
    "seq float": [b'{"type": "x", "seq": 1.0}'],
    "re a text": [b'{"type": "x", "re": "1"}'],
    "two objects": [b'{"type": "x"}{"type": "x"}'],
}


@pytest.mark.parametrize("frames", BAD.values(), ids=BAD)
def test_bad_messages(frames):
    with pytest.raises(VelaturaError) as caught:
        decode(frames)
    assert caught.value.code == "bad-message"


def test_a_bad_message_has_its_number_where_it_can_be_read():
    with pytest.raises(BadMessage) as caught:
        decode([b'{"seq": 7}'])
    assert caught.value.seq == 7
    assert error_answer(caught.value, caught.value.seq)["re"] == 7
    assert "re" not in error_answer(caught.value, None)


@given(
    st.lists(st.binary(max_size=200) | json_values.map(lambda value: json.dumps(value).encode()), max_size=3)
)
@example([b"{" * 5000])
def test_garbage_is_a_bad_message_or_a_message(frames):
    try:
        message, _ = decode(frames)
    except BadMessage:
        return
    assert isinstance(message["type"], str)
    encode(message)  # what is taken in could be sent on


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"type": 1},
        {"type": "x", "a": float("nan")},
        {"type": "x", "a": float("inf")},
        {"type": "x", "a": 2**53},
        {"type": "x", "a": b"bytes"},
        {"type": "x", "a": "\ud800"},
        {"type": "x" * MAX_JSON},
        nested(MAX_DEPTH + 1),
    ],
    ids=lambda message: repr(message)[:30],
)
def test_what_cannot_be_sent(message):
    with pytest.raises(BadMessage):
        encode(message)


def test_the_deepest_that_can_be_sent():
    assert decode(encode(nested(MAX_DEPTH)))[0] == nested(MAX_DEPTH)


@pytest.mark.parametrize(
    ("peer", "own", "peer_is", "words"),
    [
        ("2.0", "1.0", "daemon", "update the plugin"),
        ("1.7", "2.0", "daemon", "restart the daemon"),
        ("2.0", "1.0", "client", "restart the daemon"),
        ("1.7", "2.0", "client", "update the plugin"),
        ("one", "1.0", "client", "update the plugin"),
        (None, "1.0", "daemon", "restart the daemon"),
        ({}, "1.0", "daemon", "restart the daemon"),
    ],
)
def test_other_major_versions(peer, own, peer_is, words):
    with pytest.raises(VelaturaError, match=words) as caught:
        check_protocol(peer, own=own, peer_is=peer_is)
    assert caught.value.code == "protocol-version"
    assert own in caught.value.message


def test_other_minor_versions_get_along():
    check_protocol("1.99")
    check_protocol("1.0", own="1.3", peer_is="client")


def test_digest():
    """The digest of the empty text, of RFC 7693's reference code with 32 bytes."""
    empty = "blake2b:0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8"
    assert digest(b"") == empty and is_digest(empty)
    assert digest(memoryview(struct.pack("<f", 1)).cast("f")) == digest(struct.pack("<f", 1))
    assert not any(map(is_digest, ["", empty[:-1], empty + "\n", empty.upper(), None, 1]))


def test_requests_are_the_same_whatever_the_order_of_their_keys():
    assert canonical({"b": [1, "ä"], "a": None}) == '{"a":null,"b":[1,"ä"]}'.encode()
    assert request_digest({"a": 1, "b": 2}) == request_digest({"b": 2, "a": 1})
    assert request_digest({"a": 1}) != request_digest({"a": 2})


@pytest.mark.parametrize("value", [float("nan"), b"", "\ud800", {1, 2}], ids=repr)
def test_what_has_no_canonical_form(value):
    with pytest.raises(VelaturaError) as caught:
        canonical({"a": value})
    assert caught.value.code == "bad-request"


# -- errors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", sorted(CODES))
def test_errors_cross_the_wire(code):
    error = VelaturaError(code, "Do this.", hint="here", retryable=True, detail="why")
    again = VelaturaError.from_wire(decode(encode(error_answer(error, 1)))[0])
    assert again.to_wire() == error.to_wire()


def test_an_unknown_code_is_internal_and_kept():
    error = VelaturaError.from_wire({"code": "from-the-future", "message": "Wait.", "detail": "why"})
    assert (error.code, error.message, error.detail) == ("internal", "Wait.", "from-the-future: why")


@given(json_values)
def test_any_error_object_can_be_read(value):
    error = VelaturaError.from_wire(value)
    assert error.code in CODES and error.message


def test_a_code_that_is_none_is_a_fault_of_ours():
    with pytest.raises(ValueError, match="no-such-code"):
        VelaturaError("no-such-code", "")
