"""A job, its states, and the transitions that are legal between them (SPEC section 4)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from velatura_protocol.errors import VelaturaError


class State(StrEnum):
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
    State.DONE: frozenset(),
    State.FAILED: frozenset(),
    State.CANCELLED: frozenset(),
}

MAX_LOSSES = 2
"""A job during which a worker (or the whole daemon) died this often is failed, not tried for ever."""


class IllegalTransition(Exception):
    """A transition that `LEGAL` does not hold, or one asked for by a run that is over."""


@dataclass(frozen=True)
class Job:
    """One row of the journal.

    number: order of creation. attempts: how often it was started. losses: how often its worker or daemon
    died under it. cancelling: a cancel was asked for while it ran. request: complete, as it will run.
    owner: the session that submitted it. lease: cancel it when the owner vanishes. result, error: objects of
    SPEC section 4, or None. created, changed: seconds since the epoch.
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
    request: dict
    request_digest: str
    owner: str
    lease: bool
    result: dict | None
    error: dict | None
    created: float
    changed: float

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    def to_wire(self, missing: list[str]) -> dict:
        """The `job` message (SPEC section 4), without `re`. missing: digests of inputs yet to be uploaded."""
        message = {
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
            message["error"] = VelaturaError.from_wire(self.error).to_wire()  # cut, whoever noted it
        if self.state is State.DONE:
            message["result"] = self.result
        return message


def input_digests(request: dict) -> list[str]:
    """The blobs that a request needs, each once, in the order of its inputs."""
    rasters = [raster for raster in request["inputs"].values() if raster is not None]
    return list(dict.fromkeys(raster["digest"] for raster in rasters))


def is_result(result: object) -> bool:
    """Whether it has the shape of a result, as far as the journal relies on it."""
    try:
        return all(isinstance(layer["raster"]["digest"], str) for layer in result["layers"])
    except (KeyError, TypeError):
        return False


def result_digests(result: dict) -> list[str]:
    """The blobs that a result consists of, each once."""
    return list(dict.fromkeys(layer["raster"]["digest"] for layer in result["layers"]))
