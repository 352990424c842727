"""The broker: three threads with a socket each, and the order in which they start and end."""

from __future__ import annotations

import logging
import os
import secrets
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import zmq

from velatura import __version__
from velatura.daemon.broker.blobs import BlobThread
from velatura.daemon.broker.control import ControlThread, Greeting
from velatura.daemon.broker.desk import Desk
from velatura.daemon.broker.handles import for_connections
from velatura.daemon.broker.notes import ForDesk, Status, Stop
from velatura.daemon.broker.presence import Presence
from velatura.daemon.broker.sessions import Sessions
from velatura.daemon.broker.supervisor import Supervisor
from velatura.daemon.faults import Edge
from velatura.daemon.mailbox import Mailbox
from velatura.daemon.security import Gate
from velatura.daemon.settings import CHUNK, CREDIT, Settings
from velatura.daemon.sockets import BLOB, CONTROL, WORKER, Door, choose_transport, clear, open_door
from velatura.daemon.watchdog import Watchdog
from velatura.jobs.retention import Policy
from velatura.jobs.spool import Spool
from velatura.jobs.store import Journal
from velatura.methods.registry import registry
from velatura_protocol.messages import PROTOCOL
from velatura_protocol.paths import Connection, write_connection
from velatura_protocol.rasters import MAX_BLOB, MAX_SIDE

log = logging.getLogger(__name__)

TICK_MS = 200
THREADS_S = 10.0  # for the socket threads to end
SWITCH_S = 0.0005  # a ping must not wait 5 ms, Python's default, for a thread that is busy with blobs


class Broker:
    """One daemon. The main thread, which is the desk's, makes, runs and closes it."""

    def __init__(self, state_dir: Path, settings: Settings) -> None:
        """Binds, tests its own passwords, recovers the last daemon's jobs. Raises VelaturaError, OSError."""
        self._state_dir = state_dir
        self._settings = settings
        self._stop_wanted = threading.Event()
        self._edge = Edge(log, "the main loop")
        self._ends: list[tuple[str, Callable[[], object]]] = []  # the steps of `close`, the last one first
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise

    def _set_up(self) -> None:
        state_dir, settings = self._state_dir, self._settings
        self._token = secrets.token_hex(32)
        self._instance = secrets.token_hex(16)
        self._context = zmq.Context()
        self._at_end("the sockets", self._context.destroy)
        self._gate = Gate(self._context, for_connections(settings.connections))
        self._at_end("the gate", self._gate.close)
        control, blobs, workers = self._doors = self._open_doors(
            {CONTROL: 200, BLOB: 2 * CREDIT, WORKER: 1000}, choose_transport(state_dir, settings.transport)
        )

        spool = Spool(state_dir / "spool", budget=settings.spool_budget, reserve=settings.disk_reserve)
        self._journal = Journal(state_dir / "jobs.sqlite")
        self._at_end("the journal", self._journal.close)
        self._worker = Supervisor(workers, self._gate, state_dir, settings)
        self._notes: Mailbox[ForDesk] = Mailbox()
        self._at_end("the mailbox", self._notes.close)
        status = Status(settings.device)
        sessions = Sessions(settings.heartbeat)
        self._control = ControlThread(
            control.router, self._prover(control), sessions, self._greeting(), status, self._notes
        )
        self._blobs = BlobThread(
            blobs.router,
            self._prover(blobs),
            sessions,
            spool,
            status,
            self._notes,
            idle=Policy.upload,
            every=settings.sweep,
        )
        self._at_end("the socket threads", self._end_threads)
        self._desk = Desk(
            settings, state_dir, registry(), self._journal, spool, self._worker, self._control.mailbox, status
        )
        self._at_end("the worker", self._desk.close)
        self._presence = Presence(state_dir, self._announce)
        self._at_end("the connection file", self._presence.withdraw)

    def _open_doors(self, waiting: dict[str, int], transport: str) -> list[Door]:
        """A door for each domain of `waiting` (messages kept for a peer), each tested by connecting to it."""
        clear(self._state_dir)
        doors = [
            open_door(self._context, self._gate, domain, self._state_dir, transport, waiting=number)
            for domain, number in waiting.items()
        ]
        for door in doors:
            self._at_end(f"the {door.domain} socket", door.remove)
        self._gate.start()
        for door in doors:
            # no client's password opens the worker's door, and each worker gets its own
            key = door.key(secrets.token_hex(32) if door.domain == WORKER else self._token)
            self._gate.allow(door.domain, key)
            self._gate.test(door.address, key)
        return doors

    def _prover(self, door: Door) -> Callable[[object], str]:
        return partial(door.prove, self._token)

    def run(self) -> None:
        """Serves until a signal, `shutdown` or `stop`.

        Raises:
            VelaturaError: `unavailable` where the state directory is gone.
            RuntimeError: a thread has ended.
        """
        sys.setswitchinterval(SWITCH_S)
        poller = zmq.Poller()
        poller.register(self._notes.fileno(), zmq.POLLIN)
        poller.register(self._worker.router, zmq.POLLIN)
        if self._settings.prestart:
            self._worker.want()
        self._control.start()
        self._blobs.start()
        self._presence.announce()
        while not (self._stop_wanted.is_set() or self._desk.shutdown_wanted):
            with self._edge.guarded("waiting", lasting=True):
                poller.poll(TICK_MS)
            for note in self._notes.take():
                with self._edge.guarded("a note"):
                    self._desk.take(note)
            with self._edge.guarded("a step", lasting=True):
                self._desk.step()
            self._presence.look()
            self._check_threads()
            self._stop_wanted.wait(self._edge.rest())

    def _check_threads(self) -> None:
        """Raises RuntimeError where a thread has ended: a new daemon can replace it, this one cannot."""
        for thread in (self._control, self._blobs):
            if not thread.is_alive():
                raise RuntimeError(f"the {thread.name} thread has ended")
        if self._blobs.has_lost_its_helper():
            raise RuntimeError("the blob thread's helper has ended")
        if not self._gate.is_alive():
            raise RuntimeError("the gate has ended")

    def stop(self) -> None:
        """May be called from a signal handler."""
        self._stop_wanted.set()

    def close(self) -> bool:
        """Stops in good order: no message comes in, the worker ends, the running job is queued again.

        Each part is closed, even if another fails. Returns False if one of them hangs; only the end of the
        process ends it then.
        """
        while self._ends:
            what, end = self._ends.pop()
            with self._edge.guarded(f"closing {what}"):
                if end() is False:
                    log.error("%s does not end", what)
                    return False
        return True

    def _end_threads(self) -> bool:
        """Lets the socket threads send and write everything, then end. Returns whether they have ended."""
        running = [thread for thread in (self._control, self._blobs) if thread.is_alive()]
        for thread in running:
            thread.mailbox.put(Stop())
        deadline = time.monotonic() + THREADS_S
        for thread in running:
            thread.join(max(0.0, deadline - time.monotonic()))
        return not any(thread.is_alive() for thread in running)

    def _at_end(self, what: str, end: Callable[[], object]) -> None:
        self._ends.append((what, end))

    def _announce(self) -> os.stat_result:
        """Writes the connection file. It comes last, so that a daemon with such a file answers."""
        connection = Connection(
            wire=PROTOCOL,
            control=self._doors[0].endpoint,
            blob=self._doors[1].endpoint,
            token=self._token,
            pid=os.getpid(),
            instance=self._instance,
            version=__version__,
        )
        written = write_connection(self._state_dir, connection)
        served = " and ".join(door.address for door in self._doors[:2])
        log.info("velatura %s serves %s (pid %d)", __version__, served, os.getpid())
        return written

    def _greeting(self) -> Greeting:
        limits = {
            "chunk": CHUNK,
            "credit": CREDIT,
            "blob": MAX_BLOB,
            "side": MAX_SIDE,
            "waiting": self._settings.waiting,
        }
        return Greeting(self._instance, __version__, os.getpid(), self._settings.heartbeat, limits)


def stop_on_signals(broker: Broker, watchdog: Watchdog) -> None:
    """SIGTERM and SIGINT stop the daemon in good order; the end of a terminal does not stop it."""

    def stop(*_: object) -> None:
        watchdog.wake()
        broker.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
