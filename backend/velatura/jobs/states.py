"""A job, its states, and the transitions that are legal between them (SPEC section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from velatura_protocol.errors import VelaturaError


class State(StrEnum):
    """The state of a job, as the wire names it."""

    UPLOADING = "uploading"
    QUEUED = "queued"
    STARTED = "started"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


ENDED = frozenset({State.DONE, State.FAILED, State.CANCELLED})
UNFINISHED = frozenset(State) - ENDED

LEGAL: dict[State, frozenset[State]] = {
    State.UPLOADING: frozenset({State.QUEUED, State.CANCELLED}),
    State.QUEUED: frozenset({State.STARTED, State.FAILED, State.CANCELLED}),
    State.STARTED: frozenset({State.QUEUED, State.DONE, State.FAILED, State.CANCELLED}),
    State.DONE: frozenset({State.QUEUED, State.FAILED}),  # only where its result is damaged
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}

MAX_LOSSES = 2
"""A job fails once a worker has died this often while it ran."""

MAX_ATTEMPTS = 10
"""A job whose run the daemon's death has ended fails once it was started this often."""


WORKER_LOST = VelaturaError(
    "worker-lost",
    "The edit was stopped after the worker died on it twice; try a smaller selection or fewer variations.",
).to_wire()

NEVER_ENDED = VelaturaError(
    "worker-lost",
    f"The edit was begun {MAX_ATTEMPTS} times, and Velatura's daemon was stopped each time before its end; "
    "run it again.",
).to_wire()

RESULT_LOST = VelaturaError(
    "blob-corrupt",
    "The result was damaged on the disk, and so was the picture that it came from; run the edit again.",
).to_wire()


class IllegalTransition(Exception):
    """A transition that is not in `LEGAL`, or one that a run asks for after its end."""


@dataclass(frozen=True)
class Job:
    """One row of the journal.

    Args:
        number: order of creation.
        attempts: how often it was started.
        losses: how often its worker died while it ran.
        cancelling: whether a client has asked to cancel it while it ran.
        request: JSON, complete, as it will run.
        owner: the session that submitted it.
        lease: whether to cancel it when the owner's session ends.
        result: JSON of SPEC section 4, or None; of an unfinished or a stopped job, its candidates' layers.
        error: JSON of SPEC section 4, or None.
        created: seconds since the epoch.
        changed: seconds since the epoch.
    """

    id: str
    number: int
    state: State
    revision: int
    attempts: int
    losses: int
    cancelling: bool
    acknowledged: bool
    title: str
    request: dict[str, Any]
    request_digest: str
    owner: str
    lease: bool
    result: dict[str, Any] | None
    error: dict[str, Any] | None
    created: float
    changed: float

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    def to_wire(self, missing: list[str]) -> dict[str, Any]:
        """The `job` message (SPEC section 4), without `re`. missing: digests of inputs yet to be uploaded."""
        message: dict[str, Any] = {
            "type": "job",
            "job": self.id,
            "revision": self.revision,
            "state": str(self.state),
            "missing": missing,
            "created": self.created,
            "attempts": self.attempts,
            "acknowledged": self.acknowledged,
            "title": self.title,
        }
        if self.state is State.FAILED:
            message["error"] = VelaturaError.from_wire(self.error or {}).to_wire()  # bounds its texts
        if self.state is State.DONE:
            message["result"] = self.result
        elif self.result and self.result["layers"]:
            message["candidates"] = self.result["layers"]
        return message


@dataclass(frozen=True)
class Waiting:
    """The facts of a queued job that the choice of the next one needs."""

    id: str
    owner: str


@dataclass(frozen=True)
class Reference:
    """A job and a blob that it needs or has used.

    Args:
        job: the job's id.
        state: the job's state.
        acknowledged: whether the job's result was acknowledged.
        changed: the job's last change, seconds since the epoch.
        digest: the blob's digest.
        is_result: whether the blob is a result; otherwise it is an input.
        is_draft: whether the job is a draft.
    """

    job: str
    state: State
    acknowledged: bool
    changed: float
    digest: str
    is_result: bool
    is_draft: bool = False


def input_digests(request: dict[str, Any]) -> list[str]:
    """Digests of the blobs that a request needs, each once, in the order of its inputs."""
    rasters = [raster for raster in request["inputs"].values() if raster is not None]
    return list(dict.fromkeys(raster["digest"] for raster in rasters))


def is_result(result: Any) -> bool:
    """Whether a JSON value has the shape of a result, as far as the journal relies on it."""
    try:
        return all(isinstance(digest, str) for digest in _digests(result))
    except (KeyError, TypeError):
        return False


def result_digests(result: dict[str, Any]) -> list[str]:
    """Digests of a result's blobs, each once."""
    return list(dict.fromkeys(_digests(result)))


def _digests(result: Any) -> list[Any]:
    """Of every layer's pixels, and of its thumbnail where it has one. Raises KeyError and TypeError."""
    layers = result["layers"]
    thumbnails = [layer["thumbnail"]["digest"] for layer in layers if "thumbnail" in layer]
    return [*(layer["raster"]["digest"] for layer in layers), *thumbnails]
