"""Opening the journal's database, its backup, and its errors in the protocol's words."""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from functools import cache
from pathlib import Path

from velatura.jobs import wal
from velatura.jobs.repair import COLUMNS, Row, lenient
from velatura.jobs.salvage import salvaged
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
_IN_USE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
_OUTSIDE = {  # faults of the disk or of the folder, which say nothing of the journal's content
    *_IN_USE,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
}
_NAMES = {"jobs", "blobs", "jobs_by_state"}
DAMAGED = ".damaged-"  # and a time: the ending of a damaged journal that was moved aside
WAL_PAGES = 256  # of the log; SQLite's own limit keeps four times as much outside the journal


def backup_of(path: Path) -> Path:
    """The place of a journal's backup."""
    return path.with_name(path.name + ".backup")


def damaged_ones(folder: Path) -> list[Path]:
    """The files of the damaged journals that were moved aside in this folder."""
    return sorted(folder.glob(f"*{DAMAGED}*"))


def open_database(path: Path) -> sqlite3.Connection:
    """Opens or creates the database, in autocommit mode.

    A damaged one is moved aside; a new one begins with all jobs that it and its backup still hold. Raises
    `unavailable` if a newer Velatura wrote it or its folder may not be written to, `busy`, `disk-full`.
    """
    with for_the_person():
        try:
            if _forbids_writing(path):
                raise sqlite3.DatabaseError("its header forbids to write")
            if wal.mended(path.with_name(path.name + "-wal")) is not None:
                raise sqlite3.DatabaseError("the log is damaged")
            return _open(path)
        except sqlite3.DatabaseError as damage:
            if _is_outside(damage, path):
                raise
            stamp = f"{DAMAGED}{int(time.time())}"
            for suffix in ("", "-wal", "-shm"):
                part = path.with_name(path.name + suffix)
                if part.exists():
                    part.replace(path.with_name(path.name + stamp + suffix))
            aside = path.with_name(path.name + stamp)
            log.error("the journal was damaged (%s) and is now %s; a new one begins", damage, aside)
            db = _open(path)
            try:
                _fill(db, salvaged(aside, backup_of(path), _template()))
            except BaseException:
                db.close()
                raise
            return db


def back_up(db: sqlite3.Connection, path: Path) -> None:
    """Writes a copy of the database, as it is now, beside it. Raises OSError, and the errors of SQLite."""
    made = path.with_name(path.name + ".new")
    try:
        made.unlink(missing_ok=True)
        with closing(sqlite3.connect(made)) as copy:
            db.backup(copy)
            copy.execute("PRAGMA journal_mode = DELETE")  # one file, without a log
        os.replace(made, backup_of(path))
    except BaseException:
        made.unlink(missing_ok=True)
        raise


@contextmanager
def for_the_person() -> Generator[None]:
    """Turns SQLite's errors of the disk, and of other programs, into the protocol's."""
    try:
        yield
    except sqlite3.OperationalError as error:
        code = getattr(error, "sqlite_errorcode", 0)
        if code in _NO_ROOM:
            raise VelaturaError(
                "disk-full",
                "The disk is full, so the edit could not be saved; make room and try again.",
                retryable=True,
                detail=str(error),
            ) from None
        if code & 0xFF in _IN_USE:
            raise VelaturaError(
                "busy",
                "Another program holds Velatura's list of edits; end it, or wait, and try again.",
                retryable=True,
                detail=str(error),
            ) from None
        if code & 0xFF in _OUTSIDE:
            raise VelaturaError(
                "unavailable",
                "Velatura cannot write its list of edits; make its folder writable and try again "
                "(`velatura doctor` names it).",
                retryable=True,
                detail=str(error),
            ) from None
        raise


def _forbids_writing(path: Path) -> bool:
    """Whether the versions in the header are others than SQLite has: then it reads, and does not write."""
    try:
        with open(path, "rb") as file:
            versions = file.read(20)[18:]
    except OSError:
        return False
    return len(versions) == 2 and versions not in (b"\1\1", b"\2\2")


def _is_outside(error: sqlite3.DatabaseError, path: Path) -> bool:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CORRUPT) & 0xFF
    if code == sqlite3.SQLITE_READONLY:  # a changed bit in the header says so, too
        return not (os.access(path, os.W_OK) and os.access(path.parent, os.W_OK))
    return code in _OUTSIDE


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        db.text_factory = lenient
        db.execute("PRAGMA journal_mode = WAL")
        db.execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("PRAGMA secure_delete = ON")  # deleted prompts are overwritten
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            db.executescript(f"BEGIN; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION}; COMMIT;")
        elif version != SCHEMA_VERSION:
            if not _is_ours(db):
                raise VelaturaError(
                    "unavailable",
                    "The list of edits was written by a newer Velatura; update this one.",
                )
            raise sqlite3.DatabaseError(f"version {version} of tables of version {SCHEMA_VERSION}")
        # unlike quick_check it also compares the indices with the rows
        if db.execute("PRAGMA integrity_check(1)").fetchone()[0] != "ok":
            raise sqlite3.DatabaseError("integrity_check found damage")
        if not _is_ours(db):
            raise sqlite3.DatabaseError("other tables")
    except BaseException:
        db.close()
        raise
    return db


def _is_ours(db: sqlite3.Connection) -> bool:
    """Whether the tables are those of this version."""
    there = dict(db.execute("SELECT name, sql FROM sqlite_schema").fetchall())
    return {name: there.get(name) for name in _NAMES} == _tables()


@cache
def _tables() -> dict[str, str]:
    with closing(_empty()) as db:
        rows = dict(db.execute("SELECT name, sql FROM sqlite_schema").fetchall())
    return {name: rows[name] for name in _NAMES}


def _empty() -> sqlite3.Connection:
    db = sqlite3.connect(":memory:", isolation_level=None)
    db.executescript(f"PRAGMA page_size = {wal.PAGE}; {SCHEMA} PRAGMA user_version = {SCHEMA_VERSION};")
    return db


def _template() -> bytes:
    with closing(_empty()) as db:
        return db.serialize()


def _fill(db: sqlite3.Connection, rows: list[Row]) -> None:
    marks = ", ".join("?" * len(COLUMNS.split(",")))
    db.execute("BEGIN IMMEDIATE")
    for row in rows:
        with suppress(sqlite3.IntegrityError):  # two rows of one number, or a value that no column takes
            db.execute(f"INSERT INTO jobs ({COLUMNS}) VALUES ({marks})", row)
    db.execute("COMMIT")
