"""`wait_for_rest` waits for work however long it takes, and not for what only looks for some now and then."""

import subprocess
import sys
from contextlib import contextmanager

import pytest

from tests.hosts.rest import wait_for_rest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

WORKS = """
import pathlib, sys, time
end = time.process_time() + 1.0  # of a processor, which a busy machine gives later
while time.process_time() < end:
    pass
pathlib.Path(sys.argv[-1]).touch()
sys.stdin.read()
"""
STARTS = "import subprocess, sys\nsubprocess.run([sys.executable, '-c', *sys.argv[1:]])"
LOOKS = "import select, sys\nwhile not select.select([sys.stdin], [], [], 0.05)[0]:\n    pass"


@contextmanager
def started(*words):
    """A process that ends, with what it has started, when its input is closed."""
    process = subprocess.Popen([sys.executable, "-c", *map(str, words)], stdin=subprocess.PIPE)
    try:
        yield process.pid
    finally:
        process.stdin.close()
        process.wait()


@pytest.mark.parametrize("words", [[WORKS], [STARTS, WORKS]], ids=["itself", "a child"])
def test_what_works_is_waited_for(tmp_path, words):
    with started(*words, tmp_path / "done") as pid:
        wait_for_rest(pid)
        assert (tmp_path / "done").exists()


def test_what_looks_now_and_then_is_at_rest():
    with started(LOOKS) as pid:
        wait_for_rest(pid)


def test_what_has_ended_is_at_rest():
    with started("pass") as pid:
        wait_for_rest(pid, 2**22 + 1)
