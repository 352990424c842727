"""Rows of the journal that cannot be read are set aside when it is opened, so that the others live."""

from __future__ import annotations

import json
import logging
import math
import sqlite3
import time

from velatura.jobs.states import State, input_digests, is_result
from velatura_protocol.errors import VelaturaError

log = logging.getLogger(__name__)

DAMAGED = VelaturaError(
    "internal", "The daemon's note of this edit was damaged on the disk; run the edit again."
).to_wire()
_COLUMNS = "id, state, request, result, error, created, changed"


def set_aside(db: sqlite3.Connection) -> list[str]:
    """The jobs whose rows make no sense. Each is failed from now on; what was noted is kept in `set_aside`.

    To be called within a transaction.
    """
    found = []
    for number, *row in db.execute(f"SELECT number, {_COLUMNS} FROM jobs").fetchall():
        reason = _reason(*row)
        if reason is not None:
            log.error("the note of job %.80r makes no sense (%s), and is set aside", row[0], reason)
            found.append((number, row))
    if found:
        db.execute(f"CREATE TABLE IF NOT EXISTS set_aside ({_COLUMNS})")
    for number, row in found:
        name = row[0] if isinstance(row[0], str) else f"damaged-{number}"
        db.execute("INSERT INTO set_aside VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        db.execute(
            "UPDATE jobs SET id = ?, state = 'failed', revision = revision + 1, request = ?, result = NULL,"
            " error = ?, created = ?, changed = ? WHERE number = ?",
            (name, '{"inputs": {}}', json.dumps(DAMAGED), *[time.time()] * 2, number),
        )
    return [row[0] for _, row in found]


def _reason(
    job: object, state: object, request: str, result: str | None, error: str | None, *times: object
) -> str | None:
    """Why a row cannot be used; None if it can."""
    try:
        State(state)
        input_digests(json.loads(request))
        if state == State.DONE and not is_result(json.loads(result or "")):
            return "no result"
        json.loads(error or "null")
        for at in times:
            if not math.isfinite(at):
                return "no time"
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as reason:
        return repr(reason)[:200]
    return None if isinstance(job, str) else "no name"
