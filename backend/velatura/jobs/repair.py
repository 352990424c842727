"""Opening the journal sets aside the rows that cannot be read, so that the others stay usable."""

from __future__ import annotations

import json
import logging
import math
import sqlite3
import time
from typing import Any

from velatura.jobs.states import State, input_digests, is_result
from velatura_protocol.errors import VelaturaError

log = logging.getLogger(__name__)

DAMAGED = VelaturaError(
    "internal", "The daemon's record of this edit was damaged on the disk; run the edit again."
).to_wire()
_COLUMNS = "id, state, request, result, error, created, changed"


def set_aside(db: sqlite3.Connection) -> list[str]:
    """Marks jobs with damaged rows as failed and copies the rows to the table `set_aside`.

    Returns the jobs' ids. Call it within a transaction.
    """
    damaged: list[tuple[int, list[Any]]] = []  # SQLite keeps any type in any column
    for number, *row in db.execute(f"SELECT number, {_COLUMNS} FROM jobs").fetchall():
        reason = _reason(*row)
        if reason is not None:
            log.error("the row of job %.80r is damaged (%s) and is set aside", row[0], reason)
            damaged.append((number, row))
    if damaged:
        db.execute(f"CREATE TABLE IF NOT EXISTS set_aside ({_COLUMNS})")
    for number, row in damaged:
        name = row[0] if isinstance(row[0], str) else f"damaged-{number}"
        db.execute("INSERT INTO set_aside VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        db.execute(
            "UPDATE jobs SET id = ?, state = 'failed', revision = revision + 1, request = ?, result = NULL,"
            " error = ?, created = ?, changed = ? WHERE number = ?",
            (name, '{"inputs": {}}', json.dumps(DAMAGED), *[time.time()] * 2, number),
        )
    return [row[0] for _, row in damaged]


def _reason(
    job: object, state: object, request: str, result: str | None, error: str | None, *times: float
) -> str | None:
    """Why a row cannot be used; None if it can. Values of any other type give a reason, too."""
    try:
        State(state)
        input_digests(json.loads(request))
        if (state == State.DONE or result) and not is_result(json.loads(result or "")):
            return "no result"
        json.loads(error or "null")
        for at in times:
            if not math.isfinite(at):
                return "no time"
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as reason:
        return repr(reason)[:200]
    return None if isinstance(job, str) else "no name"
