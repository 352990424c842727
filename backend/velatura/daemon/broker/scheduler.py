"""Chooses the job that runs and notes its outcome: the journal on one side, the worker on the other."""

from __future__ import annotations

import logging
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from velatura.daemon.broker.supervisor import Supervisor
from velatura.daemon.outgoing import Message, fits, too_large
from velatura.jobs.spool import Spool
from velatura.jobs.states import IllegalTransition, Job, State, is_result, result_digests
from velatura.jobs.store import Journal
from velatura_protocol.errors import VelaturaError

log = logging.getLogger(__name__)

RETRY_S = 1.0


@dataclass
class Running:
    """The job that the worker runs.

    patience: when to kill the worker, monotonic seconds; None unless the job is being cancelled.
    """

    job: str
    attempt: int
    patience: float | None = None


class Scheduler:
    """Gives the worker one job after another.

    Args:
        changed: called with each job whose state has changed, after the journal has committed it.
        lossy: called with progress and previews, as (job, message, payload).
        arrived: called with each candidate, as (job, message), after the journal has committed it.
        cancel_grace: seconds that a worker may take to stop for a cancel.
        idle_unload: seconds without a job after which the worker ends.
    """

    def __init__(
        self,
        journal: Journal,
        spool: Spool,
        worker: Supervisor,
        *,
        changed: Callable[[Job], None],
        lossy: Callable[[str, Message, bytes | None], None],
        arrived: Callable[[str, Message], None],
        cancel_grace: float,
        idle_unload: float,
    ) -> None:
        self.loaded: list[str] = []  # ids of the models in the worker's memory
        self._journal = journal
        self._spool = spool
        self._worker = worker
        self._changed = changed
        self._lossy = lossy
        self._arrived = arrived
        self._cancel_grace = cancel_grace
        self._idle_unload = idle_unload
        self._running: Running | None = None
        self._unload_wanted = False
        self._idle_since = time.monotonic()
        self._served: dict[str, int] = {}
        self._turn = 0
        self._unnoted: list[tuple[Callable[[], Job], str]] = []
        self._retry_at = 0.0

    @property
    def worker_state(self) -> str:
        """The worker's state as in `pong`: starting, idle, busy or stopped."""
        if self._worker.state == "ready":
            return "busy" if self._running else "idle"
        return self._worker.state

    def step(self) -> None:
        """Reads the worker's messages, notes outcomes, watches the clock, starts the next job."""
        for message, payload in self._worker.messages():
            self._hear(message, payload)
        if self._worker.exited():
            self._worker_ended()
        error = self._worker.given_up()
        if error is not None:
            self._refuse_all(error)
        self._note_again()
        now = time.monotonic()
        if self._running is not None:
            self._idle_since = now
            if self._running.patience is not None and now > self._running.patience:
                log.warning("the worker did not stop for a cancel; killed")
                self._worker.kill()
        elif not self._unnoted:
            self._start_next()
        if self._running is None and self._worker.state == "ready":
            if self._unload_wanted or now - self._idle_since > self._idle_unload:
                log.info("the worker ends, to give its memory back")
                self._worker.stop()
                self.loaded = []
            self._unload_wanted = False

    def unload(self) -> None:
        """Frees the models' memory, after the running job if there is one."""
        self._unload_wanted = True

    def cancel(self, job: str) -> Job:
        """Cancels a job: at once, at the running job's next step, or after a grace (SPEC section 4)."""
        known = self._journal.get(job)
        before = known.state
        if known.ended:
            return known
        running = self._running
        if running is not None and running.job == job and running.patience is None:
            # before the commit, which may be slow; if we die in between, the cancel was not acknowledged
            running.patience = time.monotonic() + self._cancel_grace
            self._worker.send({"type": "cancel", "job": job})
        known = self._journal.ask_to_cancel(job)
        if known.state is not before:
            self._changed(known)
        return known

    def close(self) -> None:
        """The daemon stops in good order: the running job is queued again for its next start."""
        self._worker.close()
        self._note_again(at_once=True)
        if self._running is not None:
            job = self._running.job
            self._note(job, lambda: self._journal.put_back(job))

    # The worker

    def _hear(self, message: Message, payload: memoryview | None) -> None:
        kind = message["type"]
        if "loaded" in message:
            self.loaded = [str(id) for id in message["loaded"]]
        running = self._running
        if running is None or message.get("job") != running.job or message.get("attempt") != running.attempt:
            return
        if kind == "finished":
            self._running = None
            self._note(running.job, lambda: self._outcome(running, message))
        event = {key: value for key, value in message.items() if key not in ("pid", "attempt")}
        if kind == "candidate":
            self._note_candidate(running, event)
        elif kind in ("progress", "preview"):
            self._lossy(running.job, event, None if payload is None else payload.tobytes())

    def _note_candidate(self, running: Running, event: Message) -> None:
        """Notes a finished variation and passes it on. Where it cannot be noted, it comes with the result."""
        layer: Any = event.get("layer")
        alone = {"layers": [layer]}
        if not is_result(alone) or not all(map(self._spool.has, result_digests(alone))):
            log.error("a candidate of %s is damaged, or its pixels are not there", running.job)
            return
        try:
            self._journal.add_candidate(running.job, running.attempt, layer)
        except (VelaturaError, IllegalTransition, sqlite3.Error) as error:
            log.warning("a candidate of %s is not noted: %s", running.job, error)
            return
        self._arrived(running.job, event)

    def _outcome(self, running: Running, message: Message) -> Job:
        """Notes the outcome of a run. A result that no message holds fails, since no client could read it."""
        state: object = message.get("state")
        result: Any = message.get("result", {})
        if state == State.CANCELLED:
            return self._journal.cancelled(running.job)
        if state == State.DONE and is_result(result):
            if not fits({"type": "job", "result": result}):
                return self._journal.fail(running.job, too_large().to_wire(), running.attempt)
            if all(map(self._spool.has, result_digests(result))):
                return self._journal.finish(running.job, running.attempt, result)
            return self._journal.lost(running.job)
        error = VelaturaError.from_wire(message.get("error") or {})
        return self._journal.fail(running.job, error.to_wire(), running.attempt)

    def _worker_ended(self) -> None:
        self.loaded = []
        running, self._running = self._running, None
        if running is not None:
            log.warning("the worker died while it ran %s (attempt %d)", running.job, running.attempt)
            self._note(running.job, lambda: self._journal.lost(running.job))

    def _refuse_all(self, error: VelaturaError) -> None:
        log.error("the worker cannot be started: %s", error.detail)
        for waiting in self._journal.queue():
            self._note(waiting.id, partial(self._journal.fail, waiting.id, error.to_wire()))

    def _start_next(self) -> None:
        queue = self._journal.queue()
        if not queue:
            return
        self._worker.want()
        if self._worker.state != "ready":
            return
        # one client after another; each one's jobs in order (min takes the first of equals)
        waiting = min(queue, key=lambda waiting: self._served.get(waiting.owner, 0))
        try:
            job = self._journal.start(waiting.id)
        except VelaturaError as error:
            log.warning("a job cannot be started yet: %s", error.detail)
            return
        self._turn += 1
        self._served = {w.owner: self._served.get(w.owner, 0) for w in queue} | {waiting.owner: self._turn}
        self._running = Running(job.id, job.attempts)
        run = {"type": "run", "job": job.id, "attempt": job.attempts, "request": job.request}
        is_sent = self._worker.send(run)
        self._changed(job)
        if not is_sent:
            self._running = None
            self._note(job.id, lambda: self._journal.fail(job.id, too_large().to_wire(), job.attempts))

    # Changes to the journal that must not be lost, even if it cannot be written now

    def _note(self, name: str, change: Callable[[], Job]) -> None:
        """Makes a change of the job `name` to the journal: now, or as soon as that can be written."""
        try:
            job = change()
        except IllegalTransition as error:
            log.info("too late: %s", error)
            return
        except (VelaturaError, sqlite3.Error, OSError) as error:
            if isinstance(error, VelaturaError) and error.code == "unknown-job":
                log.info("it was forgotten meanwhile: %s", error.detail)
                return
            log.error("the journal cannot be written now: %s", getattr(error, "detail", error))
            self._unnoted.append((change, name))
            self._retry_at = time.monotonic() + RETRY_S
            reason = error.message if isinstance(error, VelaturaError) else "its log says why."
            self._say_waiting(name, reason)
            return
        self._changed(job)

    def _say_waiting(self, job: str, reason: str) -> None:
        stage = f"Waiting to save the edit: {reason[:1].lower()}{reason[1:]}"
        event: Message = {
            "type": "progress",
            "job": job,
            "stage": stage,
            "step": 0,
            "steps": 0,
            "fraction": 1.0,
        }
        self._lossy(job, event, None)

    def _note_again(self, *, at_once: bool = False) -> None:
        if self._unnoted and (at_once or time.monotonic() > self._retry_at):
            unnoted, self._unnoted = self._unnoted, []
            for change, name in unnoted:
                self._note(name, change)
