"""What leaves the daemon keeps the wire's limits, whatever it is made of."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from velatura.daemon.outgoing import fits, outgoing
from velatura_protocol.errors import MAX_DETAIL, MAX_MESSAGE, VelaturaError
from velatura_protocol.messages import MAX_JSON, MAX_PAYLOAD, decode, encode

anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters())
    | st.binary(max_size=9),
    lambda children: (
        st.lists(children, max_size=4)
        | st.dictionaries(st.text(st.characters(), max_size=8) | st.integers(), children, max_size=4)
        | st.sets(st.integers(), max_size=3)
    ),
    max_leaves=20,
)


def deep(levels: int) -> list:
    value: list = []
    for _ in range(levels):
        value = [value]
    return value


@given(st.dictionaries(st.text(max_size=3), anything, max_size=4))
def test_an_answer_is_sent_whatever_it_holds(fields):
    sent, _ = decode(outgoing({**fields, "type": "methods", "re": 7}))
    assert sent["re"] == 7
    assert sent["type"] == "methods"


@pytest.mark.parametrize(
    "value", [2**53, -(10**400), float("nan"), float("inf"), deep(100), "\ud800", {1, 2}, {3: b"x"}],
    ids=repr,
)  # fmt: skip
def test_what_the_wire_does_not_take_is_replaced(value):
    sent, _ = decode(outgoing({"type": "pong", "re": 1, "odd": value, "kept": [1, "é", 2.5, True]}))
    assert (sent["type"], sent["kept"]) == ("pong", [1, "é", 2.5, True])


def test_what_can_be_sent_is_sent_as_it_is():
    message = {"type": "data", "re": 1, "size": 2**53 - 1}
    assert outgoing(message, b"pixels") == encode(message, b"pixels")


def test_an_answer_without_room_becomes_an_error():
    sent, _ = decode(outgoing({"type": "jobs", "re": 3, "jobs": ["x" * MAX_JSON]}))
    assert (sent["type"], sent["re"], sent["code"]) == ("error", 3, "internal")
    sent, payload = decode(outgoing({"type": "data", "re": 4}, bytes(MAX_PAYLOAD + 1)))
    assert (sent["type"], payload) == ("error", None)


def test_an_event_without_room_is_dropped():
    assert outgoing({"type": "preview", "job": "x"}, bytes(MAX_PAYLOAD + 1)) is None
    assert outgoing({"type": "job", "job": "x" * MAX_JSON}) is None
    assert outgoing({}) is None


def test_the_end_of_a_run_that_no_message_holds_is_a_failure():
    result = {"layers": [{"recipe": "x" * 10_000} for _ in range(37)]}
    finished = {"type": "finished", "job": "j", "attempt": 2, "pid": 9, "state": "done", "result": result}
    assert not fits({"type": "job", "result": result})
    sent, _ = decode(outgoing(finished))
    assert {key: sent[key] for key in ("type", "job", "attempt", "pid", "state")} == {
        "type": "finished",
        "job": "j",
        "attempt": 2,
        "pid": 9,
        "state": "failed",
    }
    assert sent["error"]["code"] == "too-large"


@pytest.mark.parametrize(
    "text", ["x" * 10_000_000, "\ud800" * 5000, "\0" * 5000, "\U0001f3a8" * 5000], ids=len
)
def test_an_error_is_cut(text):
    wire = VelaturaError("internal", text, hint=text, detail=text).to_wire()
    assert [len(wire[key]) for key in ("message", "hint", "detail")] == [MAX_MESSAGE, MAX_MESSAGE, MAX_DETAIL]
    assert fits({"type": "error", **wire})
    assert len(json.dumps(wire)) < 64 * 1024
    assert wire["detail"].endswith("…")
