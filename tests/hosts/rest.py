"""Whether programs have done all that they have to do, however slow the machine is."""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path

from tests.patience import patience

QUIET_S = 0.4  # longer than any pause of a form between a change and what it does about it
LOOKS = "python-eval"  # in the command of what looks every now and then for what the test sends


def wait_for_rest(*roots: int, limit: float = 120.0) -> None:
    """Wait until these processes and all they have started sleep, without a break for 0.4 s.

    A process that has something to do and gets no processor does not count as asleep, so a busy machine only
    makes this take longer. A blinking cursor or a moving bar is over in a few milliseconds each time, and at
    most looks that meet it begin anew. Linux only.
    """
    end, quiet_since, seen = time.monotonic() + patience(limit), time.monotonic(), 0
    while time.monotonic() - quiet_since < QUIET_S or seen < 10:
        assert time.monotonic() < end, f"the processes {roots} and theirs do not come to rest"
        seen += 1
        if not all(map(_sleeps, _tree(roots))):
            quiet_since, seen = time.monotonic(), 0
        time.sleep(0.025)


def _tree(roots: Iterable[int]) -> set[int]:
    """The processes and their descendants."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        fields = _stat(folder)
        if fields and LOOKS not in _command(folder):
            parents[int(folder.name)] = int(fields[1])
    found = set(roots)
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def _sleeps(pid: int) -> bool:
    """Whether none of its threads runs, waits for a processor or waits for a disk."""
    return not any((_stat(task) or "S")[0] in ("R", "D") for task in Path(f"/proc/{pid}/task").glob("*"))


def _command(folder: Path) -> str:
    try:
        return (folder / "cmdline").read_text()
    except OSError:
        return ""


def _stat(folder: Path) -> list[str]:
    """State, parent and further fields of a process or thread; empty where it has ended."""
    try:
        return (folder / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
