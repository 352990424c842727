"""Opening the journal's database, and its errors in the protocol's words."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from velatura_protocol.errors import VelaturaError

log = logging.getLogger(__name__)

SCHEMA_VERSION = 1
SCHEMA = """
CREATE TABLE jobs (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    state TEXT NOT NULL,
    revision INTEGER NOT NULL DEFAULT 1,
    attempts INTEGER NOT NULL DEFAULT 0,
    losses INTEGER NOT NULL DEFAULT 0,
    cancelling INTEGER NOT NULL DEFAULT 0,
    acknowledged INTEGER NOT NULL DEFAULT 0,
    title TEXT NOT NULL,
    request TEXT NOT NULL,
    request_digest TEXT NOT NULL,
    owner TEXT NOT NULL,
    lease INTEGER NOT NULL,
    result TEXT,
    error TEXT,
    created REAL NOT NULL,
    changed REAL NOT NULL
);
CREATE INDEX jobs_by_state ON jobs (state, number);
CREATE TABLE blobs (
    job TEXT NOT NULL REFERENCES jobs (id) ON DELETE CASCADE,
    digest TEXT NOT NULL,
    is_result INTEGER NOT NULL,
    PRIMARY KEY (job, digest, is_result)
) WITHOUT ROWID;
"""
_NO_ROOM = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}


def open_database(path: Path) -> sqlite3.Connection:
    """Opens or creates the database, in autocommit mode. A damaged one is moved aside.

    Raises `unavailable` if a newer Velatura wrote it, `disk-full`.
    """
    with no_room_is_disk_full():
        try:
            return _open(path)
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as damage:
            stamp = f".damaged-{int(time.time())}"
            for suffix in ("", "-wal", "-shm"):
                part = path.with_name(path.name + suffix)
                if part.exists():
                    part.replace(path.with_name(path.name + stamp + suffix))
            log.error("the journal was damaged (%s) and is now %s%s; a new one begins", damage, path, stamp)
            return _open(path)


@contextmanager
def no_room_is_disk_full() -> Generator[None]:
    """Turns SQLite's errors of a full disk into `disk-full`."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode in _NO_ROOM:
            raise VelaturaError(
                "disk-full",
                "The disk is full, so the edit could not be saved; make room and try again.",
                retryable=True,
                detail=str(error),
            ) from None
        raise


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise VelaturaError(
                "unavailable",
                "The list of edits was written by a newer Velatura; update this one.",
            )
        if version == 0:
            db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        if db.execute("PRAGMA quick_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("quick_check found damage")
    except BaseException:
        db.close()
        raise
    return db
