"""Requests about jobs, answered from the journal. Runs in the daemon's main thread, beside the scheduler."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from velatura.daemon.broker.keeping import Keeper
from velatura.daemon.broker.leases import Leases
from velatura.daemon.broker.notes import (
    Answer,
    Arrived,
    Broadcast,
    Damaged,
    Event,
    ForControl,
    ForDesk,
    NoRoom,
    Request,
    Status,
    Stop,
    Vanished,
)
from velatura.daemon.broker.offered import OFFER_SINCE, Offered
from velatura.daemon.broker.scheduler import RETRY_S, Scheduler
from velatura.daemon.broker.submission import complete_request, job_id
from velatura.daemon.broker.supervisor import Supervisor
from velatura.daemon.faults import internal, told_without
from velatura.daemon.mailbox import Mailbox
from velatura.daemon.outgoing import Message, fits, too_large
from velatura.daemon.settings import Settings
from velatura.jobs.spool import Spool
from velatura.jobs.states import UNFINISHED, Job, State, input_digests
from velatura.jobs.store import Journal
from velatura.methods.base import Method
from velatura.methods.registry import describe, offer, since
from velatura.methods.shelving import Choice, choices
from velatura.models.adapters import listing
from velatura.models.adapters.listing import AdapterFile
from velatura.models.catalogue import ModelEntry, entries, entry_of
from velatura.models.control import listing as guides
from velatura.models.vocabulary import words_of
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import MAX_JSON, canonical, error_answer, request_digest
from velatura_protocol.reading import as_list, is_number

log = logging.getLogger(__name__)

MAX_NAMED = 1024
ROOM_FOR_JOBS = MAX_JSON - 1024
CANDIDATES_SINCE = 8


class Desk:
    """The daemon's answers. methods: by id."""

    def __init__(
        self,
        settings: Settings,
        state_dir: Path,
        methods: Mapping[str, Method],
        journal: Journal,
        spool: Spool,
        worker: Supervisor,
        control: Mailbox[ForControl | Stop],
        status: Status,
    ) -> None:
        self.shutdown_wanted = False
        self._settings = settings
        self._state_dir = state_dir
        self._methods = methods
        self._described = [describe(method) for method in methods.values()]
        self._journal = journal
        self._spool = spool
        self._worker = worker
        self._control = control
        self._status = status
        self._swept = time.monotonic()
        self._waiting: dict[Arrived | Damaged | Vanished, None] = {}  # an ordered set
        self._act_again_at = 0.0
        self._models: list[ModelEntry] = []
        self._offered = Offered(state_dir, lambda: control.put(Broadcast({"type": "offer"}, OFFER_SINCE)))
        self._scheduler = Scheduler(
            journal,
            spool,
            worker,
            changed=self._changed,
            lossy=lambda job, message, payload: control.put(Event(job, message, payload, lossy=True)),
            arrived=lambda job, message: control.put(Event(job, message, since=CANDIDATES_SINCE)),
            cancel_grace=settings.cancel_grace,
            idle_unload=settings.idle_unload,
        )
        self._keeper = Keeper(state_dir, journal, spool, cancel=self._scheduler.cancel, changed=self._changed)
        self._kinds = {
            "methods": self._describe,
            "vocabulary": self._vocabulary,
            "submit": self._submit,
            "get": lambda request: self._wire(self._journal.get(job_id(request.message.get("job")))),
            "ack": self._ack,
            "cancel": self._cancel,
            "list": self._list,
            "watch": self._watch,
            "forget": self._forget,
            "unload": self._unload,
            "shutdown": self._shutdown,
        }
        self._recover()

    def take(self, note: ForDesk) -> None:
        """Acts on a note of a socket thread."""
        if isinstance(note, Request):
            self._answer(note)
        elif isinstance(note, NoRoom):
            self._keeper.sweep(note.size)
        else:
            self._act(note)

    def _act(self, note: Arrived | Damaged | Vanished) -> None:
        """Acts on a note; later again where the journal cannot be written now."""
        try:
            if isinstance(note, Arrived):
                self._queue_complete(note.digest)
            elif isinstance(note, Damaged):
                self._keeper.make_again(note.digest)
            else:
                for job in self._leases.vanished(note.session):
                    self._scheduler.cancel(job)
        except VelaturaError as error:
            log.warning("%s waits: %s", type(note).__name__, error.detail)
            self._waiting[note] = None
            self._act_again_at = time.monotonic() + RETRY_S

    def step(self) -> None:
        """Does everything that the clock and the worker require now."""
        self._scheduler.step()
        if self._waiting and time.monotonic() > self._act_again_at:
            waiting, self._waiting = self._waiting, {}
            for note in waiting:
                self._act(note)
        for job in self._leases.expired():
            self._scheduler.cancel(job)
        self._tell_status()
        self._offered.look()
        if time.monotonic() - self._swept > self._settings.sweep:
            self._swept = time.monotonic()
            self._queue_complete()
            self._keeper.sweep()

    def close(self) -> None:
        self._scheduler.close()

    # Requests

    def _answer(self, request: Request) -> None:
        seq = request.message["seq"]
        try:
            answer = {**self._kinds[request.message["type"]](request), "re": seq}
        except VelaturaError as error:
            answer = error_answer(error, seq)
        except Exception as error:  # a fault in one request must not end the daemon
            log.error("a request %.40r: %s", request.message["type"], told_without(error, request.message))
            answer = error_answer(internal(error), seq)
        self._control.put(Answer(request.identity, request.session, answer))

    def _describe(self, request: Request) -> Message:
        self._models = entries(self._state_dir)
        known = [m for m in self._described if since(m) <= request.minor]
        return {"type": "methods", **self._offer(known)}

    def _offer(self, known: list[Message]) -> Message:
        return offer(known, self._models, self._dials(), self._adapters(), self._guides().guides)

    def _guides(self) -> guides.Listed:
        return guides.listed(self._state_dir)

    def _vocabulary(self, request: Request) -> Message:
        self._models = entries(self._state_dir)
        model = entry_of(self._models, str(request.message.get("model") or ""), lambda _: True)
        return {"type": "vocabulary", "model": model.id, "words": words_of(model)}

    def _dials(self) -> list[Choice]:
        return choices(self._state_dir, self._models)

    def _adapters(self) -> list[AdapterFile]:
        return listing.listed(self._state_dir)

    def _submit(self, request: Request) -> Message:
        job = job_id(request.message.get("job"))
        wanted: Any = request.message.get("request", {})
        sent = request_digest(wanted)
        known = self._journal.some([job])
        if not known:  # else it was checked then, and a method may have changed since
            self._check_room(request.session)
            self._models = entries(self._state_dir)
            whole, title = complete_request(
                wanted, self._methods, self._models, self._dials, self._adapters, self._guides
            )
            lease = wanted.get("lease", False) or whole.get("draft", False)  # no other client wants a draft
        else:
            whole, title, lease = known[0].request, known[0].title, known[0].lease
        state = State.UPLOADING if self._missing(whole) else State.QUEUED
        row, _ = self._journal.create(
            job, sent, whole, title, state=state, owner=request.session, lease=lease
        )
        if row.state is State.UPLOADING and not self._missing(whole):
            row = self._journal.uploaded(job)
        if row.lease and not row.ended:
            self._leases.hold(job, request.session)
        if not row.ended:
            self._worker.want()  # it may start while the layers are on their way
        return self._wire(row)

    def _check_room(self, owner: str) -> None:
        own, all_ = self._journal.count(owner=owner), self._journal.count()
        if own >= self._settings.waiting or all_ >= self._settings.waiting_in_all:
            raise VelaturaError("busy", "Too many edits are waiting; wait for some to end.", retryable=True)

    def _ack(self, request: Request) -> Message:
        job = self._journal.acknowledge(job_id(request.message.get("job")))
        return self._wire(job)

    def _cancel(self, request: Request) -> Message:
        return self._wire(self._scheduler.cancel(job_id(request.message.get("job"))))

    def _list(self, request: Request) -> Message:
        named = as_list(request.message.get("states", [str(state) for state in State]))
        if named is None or not all(isinstance(state, str) for state in named):
            raise VelaturaError("bad-request", "The states to be listed are no list; update the plugin.")
        states = {state for state in State if state in named}
        answer, _ = self._as_many_as_fit(self._journal.newest(states, MAX_NAMED))
        more = self._journal.count(states, drafts=False) - len(answer)
        return {"type": "jobs", "jobs": answer[::-1], "more": more}

    def _watch(self, request: Request) -> Message:
        jobs = as_list(request.message.get("jobs"))
        if jobs is None or len(jobs) > MAX_NAMED:
            raise VelaturaError("bad-request", f"At most {MAX_NAMED} edits can be watched at once.")
        watched = self._journal.some([job for job in jobs if isinstance(job, str)])
        for job in watched:
            if job.lease and not job.ended:
                self._leases.adopt(job.id, request.session)
        answer, rest = self._as_many_as_fit(watched)
        for job in rest:  # events for them follow, since the client watches them now
            self._changed(job)
        return {"type": "jobs", "jobs": answer}

    def _as_many_as_fit(self, jobs: Iterable[Job]) -> tuple[list[Message], Iterable[Job]]:
        """The first jobs that fit in one message, and the others."""
        fitting: list[Message] = []
        room, rest = ROOM_FOR_JOBS, iter(jobs)
        for job in rest:
            wire = self._wire(job)
            room -= len(canonical(wire)) + 1
            if room < 0:
                return fitting, chain([job], rest)
            fitting.append(wire)
        return fitting, []

    def _forget(self, request: Request) -> Message:
        jobs, inputs = (_names(request.message, key) for key in ("jobs", "inputs"))
        before = request.message.get("before")
        if before is not None and not is_number(before):
            raise VelaturaError("bad-request", "The time before which edits are forgotten is no time.")
        deleted, ending = self._keeper.forget(jobs, inputs or (), math.inf if before is None else before)
        self._scheduler.unload()  # the worker's memory holds values made of layers, too
        return {"type": "forgotten", "jobs": deleted, "ending": ending}

    def _unload(self, _: Request) -> Message:
        self._scheduler.unload()
        return {"type": "ok"}

    def _shutdown(self, _: Request) -> Message:
        self.shutdown_wanted = True
        return {"type": "ok"}

    # Jobs

    def _recover(self) -> None:
        self._leases = Leases(self._settings.heartbeat)
        for job in self._journal.recover():
            log.warning("job %s was running when the last daemon died; it is %s now", job.id, job.state)
        self._keeper.check_results()
        with suppress(VelaturaError, OSError):  # the next one tries again
            self._keeper.sweep()  # makes room at once where the disk is full
        self._queue_complete()
        for job in self._journal.in_states(UNFINISHED):
            if job.lease:
                self._leases.orphan(job.id)

    def _queue_complete(self, digest: str = "") -> None:
        """Queues uploading jobs (those that need this blob) whose inputs are all stored."""
        for job in self._journal.in_states({State.UPLOADING}):
            if (not digest or digest in input_digests(job.request)) and not self._missing(job.request):
                self._changed(self._journal.uploaded(job.id))

    def _missing(self, request: Message) -> list[str]:
        return [digest for digest in input_digests(request) if not self._spool.has(digest)]

    def _wire(self, job: Job) -> Message:
        """The `job` message. A result that no message holds (from an older daemon) is shown as a failure."""
        wire = job.to_wire(self._missing(job.request) if job.state is State.UPLOADING else [])
        if job.result is None or fits(wire):
            return wire
        if job.state is not State.DONE:
            return replace(job, result=None).to_wire([])  # without its candidates
        return replace(job, state=State.FAILED, result=None, error=too_large().to_wire()).to_wire([])

    def _changed(self, job: Job) -> None:
        log.info("job %s is %s (revision %d)", job.id, job.state, job.revision)
        if job.ended:
            self._leases.release(job.id)
        self._tell_status()  # before the event: a client that learns of the change, then pings, must read it
        self._control.put(Event(job.id, self._wire(job)))

    def _tell_status(self) -> None:
        loaded = self._scheduler.loaded
        known = dict.fromkeys([*(model.id for model in self._models), *loaded])
        self._status.fields = {
            "worker": self._scheduler.worker_state,
            "jobs": self._journal.count(),
            "models": [{"id": id, "loaded": id in loaded} for id in known],
            "device": self._worker.ready["device"] if self._worker.ready else self._settings.device,
        }


def _names(message: Message, key: str) -> set[str] | None:
    """The texts of a list in a message; None where there is none."""
    value = message.get(key)
    if value is None:
        return None
    names = as_list(value)
    if names is None or len(names) > MAX_NAMED:
        raise VelaturaError("bad-request", f"At most {MAX_NAMED} edits can be forgotten at once.")
    return {name for name in names if isinstance(name, str)}
