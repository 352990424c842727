"""A client's ledger: a line for each thing that it knows, synced before it goes on."""

from __future__ import annotations

import json
import os
import random
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from velatura_protocol.messages import digest

SIDE = 24  # pixels of a job's layer
KINDS = ("meant", "acknowledged", "refused", "ended", "fetched", "done with", "unknown")


@dataclass
class Entry:
    """A job as its client knows it.

    Args:
        number: of the job in the campaign.
        acknowledged: whether the daemon has answered that it has the job.
        ends: every end that was told, with the digest of the result.
        fetched: digests of the bytes that were received.
        is_over: whether the client has told the daemon that it has the result.
        problem: the error for which the client gave up; ''.
    """

    number: int
    acknowledged: bool = False
    ends: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])
    fetched: list[str] = field(default_factory=list[str])
    is_over: bool = False
    problem: str = ""


class Ledger:
    """The ledger of one client, which goes on with it after a kill.

    path: the file.
    """

    def __init__(self, path: Path) -> None:
        self.entries: dict[str, Entry] = {}
        for line in path.read_bytes().splitlines() if path.exists() else []:
            if line.endswith(b"}"):  # the one that was being written at a kill was not relied on
                self._take(json.loads(line))
        self._file = path.open("ab", buffering=0)
        self._file.write(b"\n")  # ends such a line

    def note(self, kind: str, job: str, **more: Any) -> None:
        """Writes a line durably. kind: one of `KINDS`."""
        line = {"is": kind, "job": job, **more}  # flat: it has one bracket, at its end
        self._file.write(json.dumps(line).encode() + b"\n")
        os.fsync(self._file.fileno())
        self._take(line)

    def open_jobs(self) -> list[str]:
        """The jobs that the client has still to see to, in their order."""
        return [job for job, entry in self.entries.items() if not entry.is_over and not entry.problem]

    def close(self) -> None:
        """Closes the file."""
        self._file.close()

    def _take(self, line: dict[str, Any]) -> None:
        entry = self.entries.setdefault(line["job"], Entry(line.get("number", -1)))
        match line["is"]:
            case "acknowledged":
                entry.acknowledged = True
            case "ended":
                end = (line["state"], line["result"])
                if end not in entry.ends:
                    entry.ends.append(end)
            case "fetched":
                if line["result"] not in entry.fetched:
                    entry.fetched.append(line["result"])
            case "done with":
                entry.is_over = True
            case "refused" | "unknown":
                entry.problem = line["code"]
            case _:
                pass


def pixels(seed: int, number: int) -> bytes:
    """The layer of a job: opaque RGBA, [SIDE, SIDE, 4] uint8, that no other job of the campaign has."""
    data = bytearray(random.Random(f"{seed} {number}").randbytes(4 * SIDE * SIDE))
    data[3::4] = b"\xff" * (SIDE * SIDE)
    return bytes(data)


def job_id(seed: int, number: int) -> str:
    """The id of a job."""
    return str(uuid.UUID(bytes=random.Random(f"job {seed} {number}").randbytes(16), version=4))


def is_to_be_cancelled(number: int) -> bool:
    """Whether the client cancels this job after it has submitted it."""
    return number % 9 == 4


def request(data: bytes, number: int) -> dict[str, object]:
    """The request of a job (SPEC section 5)."""
    raster = {
        "digest": digest(data),
        "width": SIDE,
        "height": SIDE,
        "channels": "RGBA",
        "dtype": "u8",
        "profile": "sRGB",
        "rect": [0, 0, SIDE, SIDE],
    }
    return {
        "velatura": 1,
        "method": "soak-negative",
        "method_version": 0,
        "model": {"id": "", "digest": ""},
        "prompt": f"number {number}",
        "seed": number,
        "variations": 1,
        "parameters": {},
        "inputs": {"source": raster, "mask": None},
        "canvas": [SIDE, SIDE],
    }


def result_of(state: dict[str, Any]) -> str:
    """The digests of a job's result, '' for none. A second layer makes another text."""
    layers: list[Any] = (state.get("result") or {}).get("layers") or []
    return " ".join(layer["raster"]["digest"] for layer in layers)
