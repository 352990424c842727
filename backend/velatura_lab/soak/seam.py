"""The seam for faults: in a process of a campaign, calls of the system may fail, be torn, or be the last.

`sitecustomize` of the stage imports this module at the start of each Python of a daemon, before any module of
Velatura, and `install` puts a look at the plan before and after each call. The product has no line of it, so
it costs nothing there. Standard library only.

A plan is a file of JSON, replaced as a whole, with:

- `id`: a number; `role`: 'broker' or 'worker', the process that it is for;
- `op`: one of `OPS`; `when`: 'before' or 'after' the call; `skip`: calls that are let through first;
- `do`: 'kill', 'error' (instead of the call), 'torn' (half of the bytes are written, then a kill);
- `error`: a number of `errno`, or of SQLite for `begin` and `commit`; `times`: calls in a row that fail.

A process writes a line into `fired` beside the plan before it does what the plan says.
"""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

PLAN = "VELATURA_SOAK_PLAN"
"""The environment's variable with the path of the plan."""
CLOCK = "clock"
"""The file beside the plan with the seconds by which `time.time` is ahead."""
FIRED = "fired"
OPS = ("write", "fsync", "rename", "unlink", "begin", "commit")
_MODULES = {"velatura.daemon.serve": "broker", "velatura.daemon.worker.main": "worker"}


def role_of(words: list[str]) -> str:
    """The role of a process by its command, '' for any other than the daemon's two."""
    return next((role for module, role in _MODULES.items() if module in words), "")


class Seam:
    """The faults of one process.

    Args:
        plan: the file.
        role: of this process.
        kill: ends this process at once; replaced in tests.
    """

    def __init__(self, plan: Path, role: str, kill: Callable[[], None] | None = None) -> None:
        self._path = plan
        self._role = role
        self._kill = kill or _kill
        self._plan: dict[str, Any] = {}
        self._stamp = 0
        self._seen = self._left = 0
        self._calls: dict[str, Callable[..., Any]] = {}
        self._clock, self._ahead = 0, 0.0
        self._stat, self._time = os.stat, time.time

    def install(self) -> None:
        """Replaces the calls of `os`, `sqlite3` and `time` in this process."""
        for name, op in (("write", "write"), ("fsync", "fsync"), ("replace", "rename"), ("unlink", "unlink")):
            self._calls[op] = getattr(os, name)
            setattr(os, name, self._wrapped(op))
        time.time = self.now
        seam, connect = self, sqlite3.connect

        class Connection(sqlite3.Connection):
            def execute(self, sql: str, *values: Any) -> sqlite3.Cursor:  # type: ignore[override]
                op = {"BEGIN": "begin", "COMMIT": "commit"}.get(sql.split(None, 1)[0].upper(), "")
                return seam.call(op, super().execute, sql, *values) if op else super().execute(sql, *values)

        def opened(*values: Any, **named: Any) -> sqlite3.Connection:
            return connect(*values, **{"factory": Connection, **named})

        sqlite3.connect = opened

    def now(self) -> float:
        """`time.time` of a clock that somebody sets."""
        try:
            stamp = self._stat(self._path.with_name(CLOCK)).st_mtime_ns
            if stamp != self._clock:
                self._ahead = float(self._path.with_name(CLOCK).read_text())
                self._clock = stamp
        except (OSError, ValueError):
            pass
        return self._time() + self._ahead

    def call(self, op: str, function: Callable[..., Any], *values: Any) -> Any:
        """Calls the function, with what the plan has for this call."""
        do = self._due(op, "before")
        if do == "error":
            raise self._error(op)
        if do == "torn":
            function(values[0], memoryview(values[1])[: len(values[1]) // 2])
        if do:
            self._kill()
        result = function(*values)
        if self._due(op, "after"):
            self._kill()
        return result

    def _wrapped(self, op: str) -> Callable[..., Any]:
        function = self._calls[op]

        def call(*values: Any, **named: Any) -> Any:
            return self.call(op, lambda *these: function(*these, **named), *values)

        return call

    def _due(self, op: str, when: str) -> str:
        """What the plan says for this call now; ''."""
        self._read()
        plan = self._plan
        if (plan.get("role"), plan.get("op"), plan.get("when")) != (self._role, op, when) or not self._left:
            return ""
        self._seen += 1
        if self._seen <= plan["skip"]:
            return ""
        self._left -= 1
        self._tell()
        return plan["do"]

    def _read(self) -> None:
        try:
            stamp = self._stat(self._path).st_mtime_ns
            if stamp != self._stamp:
                self._stamp, self._seen = stamp, 0
                self._plan = json.loads(self._path.read_text())
                self._left = self._plan.get("times", 1)
        except (OSError, ValueError):  # withdrawn
            self._plan, self._stamp = {}, 0

    def _tell(self) -> None:
        fired = os.open(self._path.with_name(FIRED), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._calls.get("write", os.write)(fired, f"{self._plan['id']}\n".encode())
        finally:
            os.close(fired)
        if not self._left:
            self._calls.get("unlink", os.unlink)(self._path)

    def _error(self, op: str) -> Exception:
        number = self._plan["error"]
        if op in ("begin", "commit"):
            error = sqlite3.OperationalError(f"on purpose: {number}")
            error.sqlite_errorcode = number
            return error
        return OSError(number, f"on purpose: {os.strerror(number)}")


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60.0)  # the signal may take a moment; nothing is done after it


def install() -> None:
    """Installs the seam in a daemon's process of a campaign; does nothing in any other."""
    role = role_of(sys.orig_argv)
    if role and PLAN in os.environ:
        Seam(Path(os.environ[PLAN]), role).install()
        if role == "worker" and os.environ.get(LIGHT):
            from velatura_lab.soak import light

            sys.modules["velatura.daemon.worker.runner"] = light


LIGHT = "VELATURA_SOAK_LIGHT"
"""The environment's variable that replaces the worker's runner by `light`."""
