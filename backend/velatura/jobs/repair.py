"""Opening the journal sets aside the rows that cannot be read, so that the others stay usable."""

from __future__ import annotations

import json
import logging
import math
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from velatura.jobs.states import State, input_digests, is_result, result_digests
from velatura_protocol.errors import VelaturaError

log = logging.getLogger(__name__)

DAMAGED = VelaturaError(
    "internal", "The daemon's record of this edit was damaged on the disk; run the edit again."
).to_wire()
COLUMNS = (
    "number, id, state, revision, attempts, losses, cancelling, acknowledged, title, request, request_digest,"
    " owner, lease, result, error, created, changed"
)
COLUMN = {name: at for at, name in enumerate(COLUMNS.split(", "))}
_COLUMNS = "id, state, request, result, error, created, changed"
_BEYOND = 10_000  # job numbers to try behind the last one known, where the table cannot say

Row = tuple[Any, ...]


def set_aside(db: sqlite3.Connection, backup: Path) -> list[str]:
    """Copies damaged rows to the table `set_aside`. Their jobs are as the backup has them, else failed. Ties
    the others to their blobs, where a tie is damaged.

    Args:
        db: the journal, within a transaction.
        backup: an earlier copy, which need not exist.

    Returns the ids of the failed jobs.
    """
    damaged: list[tuple[int, list[Any]]] = []  # SQLite keeps any type in any column
    ties: list[tuple[str, str, bool]] = []
    for number, *row in db.execute(f"SELECT number, {_COLUMNS} FROM jobs").fetchall():
        reason = _reason(ties, *row)
        if reason is not None:
            log.error("the row of job %.80r is damaged (%s) and is set aside", row[0], reason)
            damaged.append((number, row))
    db.executemany("INSERT OR IGNORE INTO blobs (job, digest, is_result) VALUES (?, ?, ?)", ties)
    if damaged:
        db.execute(f"CREATE TABLE IF NOT EXISTS set_aside ({_COLUMNS})")
    spare = {row[0]: row for row in rows_of(backup)} if damaged and backup.exists() else {}
    failed: list[str] = []
    for number, row in damaged:
        db.execute("INSERT INTO set_aside VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        if number in spare and damage_of(spare[number]) is None:
            _put_back(db, spare[number])
            continue
        failed.append(row[0])
        name = row[0] if isinstance(row[0], str) else f"damaged-{number}"
        db.execute(
            "UPDATE jobs SET id = ?, state = 'failed', revision = revision + 1, request = ?, result = NULL,"
            " error = ?, created = ?, changed = ? WHERE number = ?",
            (name, '{"inputs": {}}', json.dumps(DAMAGED), *[time.time()] * 2, number),
        )
    return failed


def _put_back(db: sqlite3.Connection, row: Row) -> None:
    marks = ", ".join("?" * len(row))
    db.execute("DELETE FROM jobs WHERE number = ?", row[:1])
    db.execute(f"INSERT OR IGNORE INTO jobs ({COLUMNS}) VALUES ({marks})", row)
    ties: list[tuple[str, str, bool]] = []
    _reason(ties, *(row[COLUMN[name]] for name in _COLUMNS.split(", ")))
    db.executemany("INSERT OR IGNORE INTO blobs (job, digest, is_result) VALUES (?, ?, ?)", ties)


def rows_of(path: Path, most: int = 0) -> Iterator[Row]:
    """The rows of a database that can be read, each once. most: a job number that there was."""
    with suppress(sqlite3.Error), closing(sqlite3.connect(path)) as db:
        db.text_factory = lenient
        try:
            last = db.execute("SELECT max(number) FROM jobs").fetchone()[0] or 0
        except sqlite3.Error:
            last = most + _BEYOND
        for number in range(1, max(int(last), most) + 1):
            with suppress(sqlite3.Error):
                yield from db.execute(f"SELECT {COLUMNS} FROM jobs WHERE number = ?", (number,)).fetchall()


def lenient(text: bytes) -> str:
    """A text of the database, also a damaged one."""
    return text.decode("utf-8", "replace")


def damage_of(row: Row) -> str | None:
    """Why a row of `COLUMNS` cannot be used; None if it can."""
    return _reason([], *(row[COLUMN[name]] for name in _COLUMNS.split(", ")))


def _reason(
    ties: list[tuple[str, str, bool]],
    job: object,
    state: object,
    request: str,
    result: str | None,
    error: str | None,
    *times: float,
) -> str | None:
    """Why a row cannot be used; None if it can, and its blobs are added to `ties`. Values of any other type
    give a reason, too."""
    found: list[tuple[str, str, bool]] = []
    try:
        if any("\ufffd" in text for text in (request, result or "", error or "")):
            return "no text"  # the journal's JSON is ASCII
        is_done = State(state) == State.DONE
        if not isinstance(job, str):
            return "no name"
        found += [(job, digest, False) for digest in input_digests(json.loads(request))]
        if is_done or result:
            made = json.loads(result or "")
            if not is_result(made):
                return "no result"
            found += [(job, digest, True) for digest in result_digests(made)]
        json.loads(error or "null")
        for at in times:
            if not math.isfinite(at):
                return "no time"
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as reason:
        return type(reason).__name__  # not its text, which may quote a prompt
    ties += found
    return None
