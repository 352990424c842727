"""The one place that every message of the broker and of its worker passes on its way out.

The content of a message comes from models' files, methods, the journal and errors of other libraries. However
large or odd it is, its frames keep the limits of SPEC section 2, or another message replaces it: sending an
answer or an event never raises.
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
from velatura_protocol.rasters import Bytes

log = logging.getLogger(__name__)

Message = dict[str, Any]
"""A message of the wire: any JSON object."""
Frames = list[Bytes]
"""A message as ZeroMQ sends it."""

ROOM_FOR_A_JOB = MAX_JSON - 4096
"""Most bytes in the message of one job, which also travels in lists and from worker to broker."""


def outgoing(message: Message, payload: Bytes | None = None) -> Frames | None:
    """The frames of a message; None where it is to be dropped. Raises nothing.

    A message that breaks a limit is mended: null replaces numbers that JSON or a double does not hold and
    values that are nested too deeply; halves of surrogate pairs are replaced. Where that is not enough, an
    answer becomes an error, the end of a run becomes a failure, and an event is dropped.
    """
    try:
        return encode(message, payload)
    except Exception as error:  # also faults that `encode` does not foresee
        log.error("a message of type %.40r cannot be sent as it is: %s", message.get("type"), error)
    with suppress(Exception):
        return encode(mended(message), payload)
    with suppress(Exception):
        return encode(_instead(message))
    return None


def fits(message: Message) -> bool:
    """Whether the message of a job can be sent unchanged."""
    try:
        return len(encode(message)[0]) <= ROOM_FOR_A_JOB
    except BadMessage:
        return False


def too_large() -> VelaturaError:
    """The error for a result that no message holds."""
    return VelaturaError(
        "too-large",
        "The edit gave more than Velatura can hand over at once; ask for fewer words or variations.",
    )


def mended(value: Any, depth: int = 1) -> Any:
    """The value with null, text or shorter text in place of values that the wire does not take."""
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


def _instead(message: Message) -> Message:
    """The message that replaces one that is too large. Raises ValueError for an event."""
    if message.get("type") == "finished":
        kept = {key: message.get(key) for key in ("type", "job", "attempt", "pid")}
        return {**kept, "state": "failed", "error": too_large().to_wire(), "loaded": []}
    if is_seq(message.get("re")):
        sentence = "The daemon's answer is too long to be sent; its log says which."
        return error_answer(VelaturaError("internal", sentence), message["re"])
    raise ValueError("an event")
