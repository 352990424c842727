"""The journal of jobs: SQLite, WAL, synchronous=FULL. A commit survives kill -9 and a power cut.

One thread owns a `Journal`. Every public method that changes the journal is one transaction.
"""

from __future__ import annotations

import json
import time
from collections.abc import Collection, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from velatura.jobs.database import back_up, backup_of, for_the_person, open_database
from velatura.jobs.repair import COLUMNS, set_aside
from velatura.jobs.states import (
    LEGAL,
    MAX_ATTEMPTS,
    MAX_LOSSES,
    NEVER_ENDED,
    RESULT_LOST,
    UNFINISHED,
    WORKER_LOST,
    IllegalTransition,
    Job,
    Reference,
    State,
    Waiting,
    input_digests,
    result_digests,
)
from velatura_protocol.errors import VelaturaError

IS_DRAFT = "coalesce(json_extract(request, '$.draft'), 0)"


class Journal:
    """The jobs table. A change that the disk has no room for raises `disk-full` and changes nothing."""

    def __init__(self, path: Path) -> None:
        """Opens or creates the journal at `path`.

        A damaged journal is moved aside, its readable rows are kept, and a damaged row is set aside; the log
        says so. Raises `unavailable` if a newer Velatura wrote the journal or its folder may not be written
        to, `busy`, `disk-full`.
        """
        self._path = path
        self._backed_up = -1
        self._db = open_database(path)
        try:
            with self._transaction():
                set_aside(self._db, backup_of(path))
        except BaseException:
            self._db.close()
            raise

    def close(self) -> None:
        self._db.close()

    def back_up(self) -> None:
        """Copies the journal beside itself, unless nothing has changed since the last copy.

        Raises `busy`, `disk-full`, `unavailable`, OSError.
        """
        if self._backed_up != self._db.total_changes:
            changes = self._db.total_changes
            with for_the_person():
                back_up(self._db, self._path)
            self._backed_up = changes

    # Reading

    def get(self, job: str) -> Job:
        """The job of an id. Raises `unknown-job`."""
        rows = self._read("WHERE id = ?", job)
        if not rows:
            raise VelaturaError("unknown-job", "The daemon does not know this job; start the edit again.")
        return rows[0]

    def some(self, jobs: Collection[str]) -> list[Job]:
        """The known jobs among the ids `jobs`, in order of creation."""
        marks = ",".join("?" * len(jobs))
        return self._read(f"WHERE id IN ({marks}) ORDER BY number", *jobs)

    def in_states(self, states: Collection[str], limit: int = -1, *, drafts: bool = True) -> list[Job]:
        """Jobs in any of `states`, oldest first.

        Args:
            states: the states to look for.
            limit: give only so many, the newest; a negative number gives all.
            drafts: whether to include drafts.
        """
        marks = ",".join("?" * len(states))
        which = f"state IN ({marks})" + ("" if drafts else f" AND NOT {IS_DRAFT}")
        return self._read(f"WHERE {which} ORDER BY number DESC LIMIT ?", *map(str, states), limit)[::-1]

    def newest(self, states: Collection[str], limit: int) -> Iterator[Job]:
        """At most `limit` jobs in any of `states`, newest first, without drafts. Each is read only when it is
        wanted; nothing may change the journal meanwhile."""
        marks = ",".join("?" * len(states))
        which = f"WHERE state IN ({marks}) AND NOT {IS_DRAFT} ORDER BY number DESC LIMIT ?"
        with for_the_person():
            yield from map(
                _job, self._db.execute(f"SELECT {COLUMNS} FROM jobs {which}", (*map(str, states), limit))
            )

    def queue(self) -> list[Waiting]:
        """The queued jobs, oldest first."""
        rows = self._read_rows("SELECT id, owner FROM jobs WHERE state = 'queued' ORDER BY number")
        return [Waiting(*row) for row in rows]

    def count(
        self, states: Collection[str] = UNFINISHED, owner: str | None = None, *, drafts: bool = True
    ) -> int:
        """The number of jobs in `states`: those of one owner, or of all where it is None."""
        marks = ",".join("?" * len(states))
        which = ("" if owner is None else " AND owner = ?") + ("" if drafts else f" AND NOT {IS_DRAFT}")
        values = [*map(str, states), *([] if owner is None else [owner])]
        query = f"SELECT count(*) FROM jobs WHERE state IN ({marks}){which}"
        return self._read_rows(query, *values)[0][0]

    def references(self) -> list[Reference]:
        """Every pair of a job and a blob that it needs or has used."""
        rows = self._read_rows(
            f"SELECT job, state, acknowledged, changed, digest, is_result, {IS_DRAFT}"
            " FROM blobs JOIN jobs ON id = job"
        )
        return [Reference(j, State(s), bool(a), c, d, bool(r), bool(i)) for j, s, a, c, d, r, i in rows]

    # Changing

    def create(
        self,
        job: str,
        request_digest: str,
        request: dict[str, Any],
        title: str,
        *,
        state: State,
        owner: str = "",
        lease: bool = False,
    ) -> tuple[Job, bool]:
        """Creates a job; returns it and True, or the known job of this id and False.

        Args:
            job: its id.
            request_digest: digest of the request as it was sent.
            request: the request, complete.
            title: its name for a person.
            state: uploading or queued.
            owner: the session that submits it.
            lease: whether to cancel it when the owner's session ends.

        Raises `job-conflict` if the known job has another digest.
        """
        assert state in (State.UPLOADING, State.QUEUED)
        now = time.time()
        with self._transaction():
            known = self._read("WHERE id = ?", job)
            if known:
                if known[0].request_digest != request_digest:
                    raise VelaturaError(
                        "job-conflict", "This edit's number was used for another edit; start the edit again."
                    )
                return known[0], False
            self._db.execute(
                "INSERT INTO jobs (id, state, title, request, request_digest, owner, lease, created, changed)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (job, str(state), title, json.dumps(request), request_digest, owner, lease, now, now),
            )
            self._tie(job, input_digests(request), is_result=False)
        return self.get(job), True

    def uploaded(self, job: str) -> Job:
        """uploading → queued."""
        return self._move(job, State.QUEUED)

    def start(self, job: str) -> Job:
        """queued → started. Counts the attempts; the count identifies this run from now on."""
        return self._move(job, State.STARTED, "attempts = attempts + 1")

    def add_candidate(self, job: str, attempt: int, layer: dict[str, Any]) -> Job:
        """Notes a finished variation of the current run, in place of an earlier one of its index.

        Its blobs are kept from now on, whatever becomes of the run. attempt: as in `finish`.
        """
        with self._transaction():
            before = (self._current(job, attempt).result or {"layers": []})["layers"]
            layers = [one for one in before if one.get("index") != layer.get("index")] + [layer]
            value = json.dumps({"layers": sorted(layers, key=lambda one: one.get("index", 0))})
            self._db.execute("UPDATE jobs SET result = ? WHERE id = ?", (value, job))
            self._tie(job, result_digests({"layers": [layer]}), is_result=True)
        return self.get(job)

    def finish(self, job: str, attempt: int, result: dict[str, Any]) -> Job:
        """started → done, or → cancelled if a client has asked for that meanwhile.

        Only the current run may call this, and only once: a second call, or one by an earlier attempt,
        raises `IllegalTransition`. So a result appears exactly once.
        """
        with self._transaction():
            if self._current(job, attempt).cancelling:
                self._change(job, State.CANCELLED)
            else:
                self._change(job, State.DONE, "result = ?", json.dumps(result))
                self._tie(job, result_digests(result), is_result=True)
        return self.get(job)

    def fail(self, job: str, error: dict[str, Any], attempt: int | None = None) -> Job:
        """queued or started → failed; → cancelled if a client has asked for that. attempt: as in `finish`."""
        with self._transaction():
            cancelling = attempt is not None and self._current(job, attempt).cancelling
            if cancelling:
                self._change(job, State.CANCELLED)
            else:
                self._change(job, State.FAILED, "error = ?", json.dumps(error))
        return self.get(job)

    def ask_to_cancel(self, job: str) -> Job:
        """uploading, queued → cancelled. Marks a started job, durably; for an ended one it is a no-op."""
        with self._transaction():
            state = self.get(job).state
            if state in (State.UPLOADING, State.QUEUED):
                self._change(job, State.CANCELLED)
            elif state is State.STARTED:
                self._db.execute("UPDATE jobs SET cancelling = 1 WHERE id = ?", (job,))
        return self.get(job)

    def cancelled(self, job: str) -> Job:
        """started → cancelled, once the worker has stopped or was killed."""
        return self._move(job, State.CANCELLED)

    def put_back(self, job: str) -> Job:
        """started → queued when the daemon shuts down; → cancelled if a client has asked for that."""
        with self._transaction():
            self._change(job, State.CANCELLED if self.get(job).cancelling else State.QUEUED)
        return self.get(job)

    def lost(self, job: str) -> Job:
        """started → queued when its worker died; → failed at the second loss.

        → cancelled if a client has asked for that.
        """
        with self._transaction():
            self._lose(self.get(job))
        return self.get(job)

    def recover(self) -> list[Job]:
        """Queues the jobs again that ran when the last daemon died. Call it once after opening.

        Its death is not a job's fault. But a job that was started ten times fails: it may end the machine.
        """
        started = self.in_states({State.STARTED})
        with self._transaction():
            for job in started:
                if job.cancelling:
                    self._change(job.id, State.CANCELLED)
                elif job.attempts >= MAX_ATTEMPTS:
                    self._change(job.id, State.FAILED, "error = ?", json.dumps(NEVER_ENDED))
                else:
                    self._change(job.id, State.QUEUED)
        return self.some([job.id for job in started])

    def make_again(self, job: str, *, has_inputs: bool) -> Job:
        """done → queued where a blob of the result is damaged; → failed where its inputs are gone, too.

        A job whose result was acknowledged, or that is not done, stays as it is.

        has_inputs: whether the spool has all of them.
        """
        with self._transaction():
            known = self.get(job)
            if known.state is State.DONE and not known.acknowledged:
                if has_inputs:
                    self._change(job, State.QUEUED, "result = NULL")
                else:
                    self._change(job, State.FAILED, "result = NULL, error = ?", json.dumps(RESULT_LOST))
        return self.get(job)

    def with_result(self, digest: str) -> list[str]:
        """The ids of the jobs that have a blob as their result."""
        rows = self._read_rows("SELECT job FROM blobs WHERE digest = ? AND is_result", digest)
        return [job for (job,) in rows]

    def acknowledge(self, job: str) -> Job:
        """Records that the client has the result. Raises `bad-request` for a job that has not ended."""
        with self._transaction():
            known = self.get(job)
            if not known.ended:
                raise VelaturaError("bad-request", "This edit has not ended yet; wait for its result.")
            if not known.acknowledged:
                self._db.execute(
                    "UPDATE jobs SET acknowledged = 1, revision = revision + 1, changed = ? WHERE id = ?",
                    (time.time(), job),
                )
        return self.get(job)

    def erase(self, jobs: Collection[str]) -> None:
        """Deletes ended jobs, and every trace of them and of damaged ones in the journal's own files."""
        self.forget(jobs)  # overwrites their rows (`secure_delete`)
        with self._transaction():
            self._db.execute("DROP TABLE IF EXISTS set_aside")
        with for_the_person():
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def forget(self, jobs: Collection[str]) -> None:
        """Deletes ended jobs."""
        with self._transaction():
            self._db.executemany(
                "DELETE FROM jobs WHERE id = ? AND state IN ('done', 'failed', 'cancelled')",
                [(job,) for job in jobs],
            )

    # Within a transaction

    def _move(self, job: str, state: State, also: str = "") -> Job:
        with self._transaction():
            self._change(job, state, also)
        return self.get(job)

    def _change(self, job: str, state: State, also: str = "", *values: object) -> None:
        before = self.get(job).state
        if state not in LEGAL[before]:
            raise IllegalTransition(f"{job}: {before} to {state}")
        extra = f", {also}" if also else ""
        self._db.execute(
            f"UPDATE jobs SET state = ?, revision = revision + 1, changed = ?{extra} WHERE id = ?",
            (str(state), time.time(), *values, job),
        )

    def _lose(self, job: Job) -> None:
        self._db.execute("UPDATE jobs SET losses = losses + 1 WHERE id = ?", (job.id,))
        if job.cancelling:
            self._change(job.id, State.CANCELLED)
        elif job.losses + 1 >= MAX_LOSSES:
            self._change(job.id, State.FAILED, "error = ?", json.dumps(WORKER_LOST))
        else:
            self._change(job.id, State.QUEUED)

    def _current(self, job: str, attempt: int) -> Job:
        known = self.get(job)
        if known.state is not State.STARTED or known.attempts != attempt:
            raise IllegalTransition(f"{job}: attempt {attempt} is not the one that runs")
        return known

    def _tie(self, job: str, digests: list[str], *, is_result: bool) -> None:
        rows = [(job, digest, is_result) for digest in digests]
        self._db.executemany("INSERT OR IGNORE INTO blobs (job, digest, is_result) VALUES (?, ?, ?)", rows)

    def _read(self, condition: str, *values: object) -> list[Job]:
        return [_job(row) for row in self._read_rows(f"SELECT {COLUMNS} FROM jobs {condition}", *values)]

    def _read_rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        with for_the_person():
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _transaction(self) -> Generator[None]:
        with for_the_person():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:  # a failed COMMIT may already have rolled back
                    self._db.execute("ROLLBACK")
                raise


def _job(row: tuple[Any, ...]) -> Job:
    values: dict[str, Any] = dict(zip(COLUMNS.replace(" ", "").split(","), row, strict=True))
    for key in ("cancelling", "acknowledged", "lease"):
        values[key] = bool(values[key])
    for key in ("request", "result", "error"):
        values[key] = None if values[key] is None else json.loads(values[key])
    values["state"] = State(values["state"])
    return Job(**values)
