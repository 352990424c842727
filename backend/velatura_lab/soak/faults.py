"""The faults of a campaign, one function each, which returns whether the broker is dead after it."""

from __future__ import annotations

import errno
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass, field

from velatura_lab.soak import hostile
from velatura_lab.soak.stage import Clients, Stage

REACHED_S = 6.0  # a plan is withdrawn after this time; not every call comes in every round
_KILLED_AT = {
    "broker": ("write", "fsync", "rename", "unlink", "begin", "commit"),
    "worker": ("write", "fsync", "rename"),
}
_FAILS = {
    "write": (errno.ENOSPC, errno.EIO),
    "fsync": (errno.EIO,),
    "rename": (errno.EIO, errno.ENOSPC),
    "begin": (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR),
    "commit": (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR),
}


@dataclass
class Trial:
    """A campaign under way.

    Args:
        stage: its daemon.
        clients: its clients.
        chance: of the seed; nothing else decides.
        done: the number of faults by what they were and where.
        worker_faults: kills of the worker and failed calls in it.
        plans: made so far.
    """

    stage: Stage
    clients: Clients
    chance: random.Random
    done: Counter[str] = field(default_factory=Counter[str])
    worker_faults: int = 0
    plans: int = 0

    def pause(self, most: float) -> None:
        """A moment by chance."""
        time.sleep(self.chance.uniform(0.0, most))

    def plan(self, role: str, op: str, when: str, do: str, error: int = 0, times: int = 1) -> int:
        """Carries out a plan; the number of calls that it caught."""
        self.plans += 1
        number = self.plans
        skip = self.chance.randrange(6)
        plan = {"id": number, "role": role, "op": op, "when": when, "skip": skip, "do": do, "error": error}
        self.stage.make_plan({**plan, "times": times})
        deadline = time.monotonic() + REACHED_S
        while self.stage.fired(number) < times and time.monotonic() < deadline:
            time.sleep(0.02)
        self.stage.withdraw()
        fired = self.stage.fired(number)
        name = "torn" if do == "torn" else f"{do} {when}" if do == "kill" else errno_name(op, error)
        if fired:
            self.done[f"{role}: {name} {op}"] += fired
        if role == "worker":
            self.worker_faults += fired
        return fired


def errno_name(op: str, number: int) -> str:
    """The name of an error, of the system or of SQLite."""
    if op not in ("begin", "commit"):
        return errno.errorcode[number]
    names = ("SQLITE_BUSY", "SQLITE_READONLY", "SQLITE_IOERR", "SQLITE_FULL")
    return next(name for name in names if getattr(sqlite3, name) == number)


# Faults after which the broker is dead


def broker_killed(trial: Trial) -> bool:
    """At any moment."""
    trial.pause(0.5)
    trial.stage.kill()
    trial.done["broker: kill at random"] += 1
    return True


def broker_killed_at_a_call(trial: Trial) -> bool:
    """Before or after one of its calls, or in the middle of a write."""
    op = trial.chance.choice(_KILLED_AT["broker"])
    when, do = trial.chance.choice([("before", "kill"), ("after", "kill")])
    if op == "write" and trial.chance.random() < 0.5:
        when, do = "before", "torn"
    if not trial.plan("broker", op, when, do):
        return False
    trial.stage.wait()
    return True


def restarted(trial: Trial) -> bool:
    """In good order."""
    status = trial.stage.stop()
    if status:
        raise RuntimeError(f"a stop in good order ended with {status}")
    trial.done["broker: stopped in good order"] += 1
    return True


# Faults that the broker outlives


def worker_killed(trial: Trial) -> bool:
    """At any moment, at its start as well."""
    trial.pause(0.3)
    pid = trial.stage.worker()
    if pid:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
            trial.done["worker: kill at random"] += 1
            trial.worker_faults += 1
    return False


def worker_killed_at_a_call(trial: Trial) -> bool:
    """Before or after one of its calls, or in the middle of a write."""
    op = trial.chance.choice(_KILLED_AT["worker"])
    when, do = trial.chance.choice([("before", "kill"), ("after", "kill")])
    if op == "write" and trial.chance.random() < 0.5:
        when, do = "before", "torn"
    trial.plan("worker", op, when, do)
    return False


def client_killed(trial: Trial) -> bool:
    """At any moment; it goes on with its ledger."""
    trial.pause(0.3)
    trial.clients.kill(trial.chance.randrange(len(trial.clients)))
    trial.done["client: kill at random"] += 1
    return False


def call_fails(trial: Trial) -> bool:
    """A full disk, a fault of the disk, a locked or unwritable journal, once or several times in a row."""
    role = trial.chance.choice(("broker", "broker", "worker"))
    op = trial.chance.choice([op for op in _FAILS if role == "broker" or op in _KILLED_AT["worker"]])
    error, times = trial.chance.choice(_FAILS[op]), trial.chance.randint(1, 4)
    trial.plan(role, op, "before", "error", error, times)
    return False


def no_handles(trial: Trial) -> bool:
    """EMFILE: the broker may open nothing more for a moment."""
    import resource

    limits = resource.prlimit(trial.stage.pid, resource.RLIMIT_NOFILE)
    least = trial.stage.handles()
    resource.prlimit(trial.stage.pid, resource.RLIMIT_NOFILE, (least, limits[1]))
    trial.pause(1.0)
    resource.prlimit(trial.stage.pid, resource.RLIMIT_NOFILE, limits)
    trial.done["broker: EMFILE"] += 1
    return False


def journal_held(trial: Trial) -> bool:
    """SQLITE_BUSY: another program has the journal locked."""
    seconds = trial.chance.choice((0.2, 1.0, 7.0))
    path = trial.stage.state_dir / "jobs.sqlite"
    with (
        closing(sqlite3.connect(path, isolation_level=None)) as db,
        suppress(sqlite3.OperationalError),  # the broker was quicker, for all of five seconds
    ):
        db.execute("BEGIN IMMEDIATE")
        time.sleep(seconds)
        db.execute("ROLLBACK")
        trial.done["journal: held by another program"] += 1
    return False


def stopped(trial: Trial) -> bool:
    """SIGSTOP, and SIGCONT after a while."""
    who = trial.chance.choice(("broker", "worker", "client"))
    one = trial.chance.randrange(len(trial.clients))
    seconds = trial.chance.uniform(0.1, 2.0)
    pids = {"broker": trial.stage.pid, "client": trial.clients.pid(one)}
    pid = trial.stage.worker() if who == "worker" else pids[who]
    with suppress(ProcessLookupError):
        if pid:
            os.kill(pid, signal.SIGSTOP)
            time.sleep(seconds)
            os.kill(pid, signal.SIGCONT)
            trial.done[f"{who}: stands still"] += 1
    return False


def clock_jumps(trial: Trial) -> bool:
    """By an hour, a day or a month, ahead or back again."""
    trial.stage.set_clock(trial.chance.choice((0.0, 3600.0, 86400.0, 30 * 86400.0, -3600.0)))
    trial.done["clock: jumps"] += 1
    return False


def strangers(trial: Trial) -> bool:
    """Peers without a token: wrong passwords and hang-ups, and a crowd that says nothing."""
    connection = trial.stage.connection
    ends = [connection.control_endpoint(), connection.blob_endpoint()]
    knocks, idle = trial.chance.randint(50, 300), trial.chance.randint(20, 200)
    peers = [_stranger(end, "knock", knocks) for end in ends] + [_stranger(ends[0], "crowd", idle)]
    for peer in peers:
        peer.communicate(timeout=120.0)  # closes its input, which ends the crowd
    trial.done["strangers: connections"] += 2 * knocks + idle
    return False


def _stranger(endpoint: str, kind: str, number: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, hostile.__file__, endpoint, kind, str(number)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)


Fault = Callable[[Trial], bool]
OUTLIVED: tuple[Fault, ...] = (
    worker_killed,
    worker_killed_at_a_call,
    client_killed,
    call_fails,
    call_fails,
    no_handles,
    journal_held,
    stopped,
    clock_jumps,
    strangers,
)
"""The faults that the broker outlives, as often as they come in a round of all."""
DEADLY: tuple[Fault, ...] = (
    broker_killed,
    broker_killed,
    broker_killed_at_a_call,
    broker_killed_at_a_call,
    broker_killed_at_a_call,
    broker_killed_at_a_call,
    restarted,
)
"""The faults after which another broker is started."""
