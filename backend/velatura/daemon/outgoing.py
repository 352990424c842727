"""The one place that every message of the broker and of its worker passes on its way out.

What a message holds comes from models' files, methods, the journal and other people's errors. However large
or odd it is, its frames keep the limits of SPEC section 2, or another message says that it does not: no
answer and no event raises.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import Any

from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import (
    MAX_DEPTH,
    MAX_INTEGER,
    MAX_JSON,
    BadMessage,
    encode,
    error_answer,
    is_seq,
)

log = logging.getLogger(__name__)

ROOM_FOR_A_JOB = MAX_JSON - 4096
"""Bytes that the message of one job may have: it also travels in lists, and from worker to broker."""


def outgoing(message: dict, payload: Any = None) -> list | None:
    """The frames of a message; None where it is to be dropped. Raises nothing.

    What cannot be sent as it is, is sent with null for numbers that JSON or a double does not hold and for
    what lies too deep, and without halves of surrogate pairs. Where that does not suffice, an answer becomes
    an error, the end of a run a failed one; an event is dropped.
    """
    try:
        return encode(message, payload)
    except Exception as error:  # the edge: also of what `encode` did not foresee
        log.error("a message of type %.40r cannot be sent as it is: %s", message.get("type"), error)
    with suppress(Exception):
        return encode(mended(message), payload)
    with suppress(Exception):
        return encode(_instead(message))
    return None


def fits(message: dict) -> bool:
    """Whether the message of a job can be sent as it is."""
    try:
        return len(encode(message)[0]) <= ROOM_FOR_A_JOB
    except BadMessage:
        return False


def too_large() -> VelaturaError:
    """Of a result that no message holds."""
    return VelaturaError(
        "too-large",
        "The edit gave more than Velatura can hand over at once; ask for fewer words or variations.",
    )


def mended(value: Any, depth: int = 1) -> Any:
    """The value with null, text or shorter text in place of what the wire does not take."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode("utf-8")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return int(value) if abs(value) <= MAX_INTEGER else None
    if isinstance(value, float):
        return float(value) if value - value == 0.0 else None
    if isinstance(value, (dict, list, tuple)):
        if depth > MAX_DEPTH:
            return None
        if isinstance(value, dict):
            return {mended(str(key)): mended(item, depth + 1) for key, item in value.items()}
        return [mended(item, depth + 1) for item in value]
    return mended(str(value)[:200])


def _instead(message: dict) -> dict:
    """What is said in place of a message that has no room. Raises ValueError where nothing is."""
    if message.get("type") == "finished":
        kept = {key: message.get(key) for key in ("type", "job", "attempt", "pid")}
        return {**kept, "state": "failed", "error": too_large().to_wire(), "loaded": []}
    if is_seq(message.get("re")):
        sentence = "The daemon's answer is too long to be sent; its log says which."
        return error_answer(VelaturaError("internal", sentence), message["re"])
    raise ValueError("an event")
