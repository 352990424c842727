"""Whether programs have done all that they have to do, however slow the machine is."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.patience import patience

QUIET_S = 0.4  # longer than any pause of a form between a change and what it does about it
LOOKS = "python-eval"  # in the command of what looks every now and then for what the test sends


def wait_for_rest(*roots: int, limit: float = 120.0) -> None:
    """Wait until these processes and all they have started sleep, without a break of note for 0.4 s.

    A thread that has something to do and gets no processor does not count as asleep, so a busy machine only
    makes this take longer. A thread that looks every now and then for something to do is seen awake at times:
    only one that is found awake three times in a row has work. Linux only.
    """
    end, quiet_since, awake = time.monotonic() + patience(limit), time.monotonic(), {}
    while time.monotonic() - quiet_since < QUIET_S:
        assert time.monotonic() < end, f"the processes {roots} and theirs do not come to rest"
        time.sleep(0.025)
        awake = {thread: awake.get(thread, 0) + 1 for thread in _awake(_tree(roots))}
        if max(awake.values(), default=0) >= 3:
            quiet_since = time.monotonic()


def _tree(roots: Iterable[int]) -> Iterator[int]:
    """The processes and their descendants."""
    for pid in roots:
        if LOOKS not in _text(Path(f"/proc/{pid}/cmdline")):
            yield pid
            for started in Path(f"/proc/{pid}/task").glob("*/children"):
                yield from _tree(map(int, _text(started).split()))


def _awake(pids: Iterable[int]) -> Iterator[Path]:
    """Their threads that run, wait for a processor or wait for a disk."""
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*"):
            if _text(task / "stat").rpartition(")")[2].split()[:1] in (["R"], ["D"]):
                yield task


def _text(path: Path) -> str:
    """Empty where the process or thread has ended."""
    try:
        return path.read_text()
    except OSError:
        return ""
