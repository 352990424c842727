"""Frames to messages and back (SPEC section 2), digests, canonical JSON."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Any, NoReturn, TypeGuard

from .errors import VelaturaError
from .reading import JsonObject, as_object

PROTOCOL = "1.9"

MAX_JSON = 256 * 1024
MAX_DEPTH = 32
MAX_PAYLOAD = 1024 * 1024
MAX_INTEGER = 2**53 - 1

Bytes = bytes | bytearray | memoryview
Message = JsonObject  #: with `type` (SPEC section 2)

_JOB_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_DIGEST = re.compile(r"blake2b:[0-9a-f]{64}\Z")
_VERSION = re.compile(r"([0-9]{1,6})\.([0-9]{1,6})\Z")
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


class BadMessage(VelaturaError):
    """A frame that is no message. seq: the request's number; None where it could not be read."""

    def __init__(self, detail: str, seq: int | None = None) -> None:
        super().__init__(
            "bad-message", "A message could not be read; update Velatura on both sides.", detail=detail
        )
        self.seq = seq


def encode(message: Message, payload: Bytes | None = None) -> list[Bytes]:
    """The frames of a message. The payload is not copied.

    Raises `BadMessage` if the message breaks a limit of SPEC section 2, or has a value that JSON has not.
    """
    if not isinstance(message.get("type"), str):
        raise BadMessage("the message has no type")
    _check_values(message)
    try:
        head = json.dumps(message, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise BadMessage(f"not JSON: {error}") from None
    if len(head) > MAX_JSON:
        raise BadMessage(f"the message has {len(head)} bytes, more than {MAX_JSON}")
    if payload is None:
        return [head]
    size = memoryview(payload).nbytes
    if size > MAX_PAYLOAD:
        raise BadMessage(f"the payload has {size} bytes, more than {MAX_PAYLOAD}")
    return [head, payload]


def decode(frames: Sequence[Bytes]) -> tuple[Message, memoryview | None]:
    """The message object and its payload (a view, not a copy).

    Raises `BadMessage` (code `bad-message`) for every other content; no other error leaves it.
    """
    if not 1 <= len(frames) <= 2:
        raise BadMessage(f"{len(frames)} frames instead of one or two")
    message = _read_object(memoryview(frames[0]))
    seq = message.get("seq")
    if not is_seq(seq):
        if seq is not None:
            raise BadMessage("seq is not an integer from 0 to 2^53-1")
        seq = None
    if "re" in message and not is_seq(message["re"]):
        raise BadMessage("re is not an integer from 0 to 2^53-1", seq)
    if not isinstance(message.get("type"), str):
        raise BadMessage("the message has no type", seq)
    if len(frames) == 1:
        return message, None
    payload = memoryview(frames[1])
    if payload.nbytes > MAX_PAYLOAD:
        raise BadMessage(f"the payload has {payload.nbytes} bytes, more than {MAX_PAYLOAD}", seq)
    return message, payload


def _read_object(frame: memoryview) -> Message:
    if frame.nbytes > MAX_JSON:
        raise BadMessage(f"the message has {frame.nbytes} bytes, more than {MAX_JSON}")
    raw = frame.tobytes()
    try:
        value = json.loads(raw.decode("utf-8"), parse_constant=_refuse, parse_float=_number)
        if _SURROGATE.search(raw):  # an unpaired surrogate is no text, and could not be sent on
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except (ValueError, RecursionError) as error:
        raise BadMessage(f"not JSON: {error}") from None
    message = as_object(value)
    if message is None:
        raise BadMessage("the message is not an object")
    _check_values(message)
    return message


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _number(text: str) -> float:
    value = float(text)
    if value - value != 0.0:
        raise ValueError("a number beyond the range of a double")
    return value


def _check_values(value: object) -> None:
    """Refuses valid JSON that some readers cannot take: deep nesting, integers that no double holds."""
    level: list[Any] = [value]
    for _ in range(MAX_DEPTH):
        children = [child for parent in level for child in _children(parent)]
        if any(isinstance(child, int) and abs(child) > MAX_INTEGER for child in children):
            raise BadMessage("an integer beyond 2^53-1")
        level = [child for child in children if isinstance(child, (dict, list, tuple))]
        if not level:
            return
    raise BadMessage(f"more than {MAX_DEPTH} levels")


def _children(parent: Any) -> Iterable[Any]:
    mapping = as_object(parent)
    return parent if mapping is None else mapping.values()


def is_seq(value: object) -> TypeGuard[int]:
    """Whether `value` may stand as `seq` or `re`."""
    return type(value) is int and 0 <= value <= MAX_INTEGER


def is_digest(value: object) -> TypeGuard[str]:
    """Whether `value` is a digest as SPEC section 2 writes them."""
    return isinstance(value, str) and _DIGEST.match(value) is not None


def is_job_id(value: object) -> TypeGuard[str]:
    """Whether `value` is a job's id as SPEC section 2 writes them."""
    return isinstance(value, str) and _JOB_ID.match(value) is not None


def error_answer(error: VelaturaError, re: int | None) -> Message:
    """The error message that answers request number `re`; None where the number could not be read."""
    answer = {"type": "error", **error.to_wire()}
    if re is not None:
        answer["re"] = re
    return answer


def check_protocol(peer: object, *, own: str = PROTOCOL, peer_is: str = "daemon") -> None:
    """Raises `protocol-version` unless `peer` ("MAJOR.MINOR") has the major version of `own`.

    Args:
        peer: the other side's version.
        own: this side's version.
        peer_is: the other side: "daemon" or "client".
    """
    theirs = _VERSION.match(peer) if isinstance(peer, str) else None
    ours = _VERSION.match(own)
    assert ours is not None
    if theirs and theirs[1] == ours[1]:
        return
    named = peer if theirs else "an unknown version"
    we_are_older = theirs is not None and int(theirs[1]) > int(ours[1])
    daemon, client = (named, own) if peer_is == "daemon" else (own, named)
    older = "client" if we_are_older == (peer_is == "daemon") else "daemon"
    update = {
        "client": "update the plugin (or the command line)",
        "daemon": "update and restart the daemon",
    }[older]
    raise VelaturaError(
        "protocol-version",
        f"The daemon speaks version {daemon} of the protocol and this client speaks {client}: {update}.",
    )


def minor_version(version: str) -> int:
    """MINOR of a version that `check_protocol` has accepted."""
    return int(version.partition(".")[2])


def digest(data: Bytes) -> str:
    """The name of a blob: BLAKE2b with 32 bytes (RFC 7693)."""
    return "blake2b:" + blake2b(data, digest_size=32).hexdigest()


def canonical(value: object) -> bytes:
    """One spelling of a JSON value: sorted keys, no spaces, UTF-8. Raises `bad-request` if it is no JSON."""
    try:
        return json.dumps(
            value, ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":")
        ).encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise VelaturaError(
            "bad-request", "The request could not be written down; enter it again.", detail=str(error)
        ) from None


def request_digest(request: object) -> str:
    """A digest that is equal for two submissions of the same request."""
    return digest(canonical(request))
