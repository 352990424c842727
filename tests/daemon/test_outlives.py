"""What the machine and the disk may do to a daemon: it goes on, or it ends and another can be started."""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading

import pytest

from tests.daemon.raw import Raw
from tests.daemon.samples import new_job, pixels, request
from tests.daemon_fixture import Daemon, wait_for
from tests.patience import patience
from velatura.daemon import lock
from velatura.daemon.broker.blobs import HELPER
from velatura.daemon.broker.broker import Broker
from velatura.daemon.settings import Settings
from velatura_protocol.messages import digest
from velatura_protocol.paths import CONNECTION_FILE, read_connection

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform != "linux", reason="prlimit and /proc are Linux's"),
]


@pytest.fixture
def quick(state_dir, no_torch):
    """A daemon without a worker that tidies up all the time."""
    with Daemon(state_dir, no_torch, prestart=False, sweep=0.1) as running:
        yield running


def serve(state_dir, no_torch):
    """A daemon that is expected to end by itself."""
    command = "from velatura.daemon.serve import main; raise SystemExit(main(device='cpu'))"
    environment = os.environ | no_torch | {"VELATURA_STATE_DIR": str(state_dir)}
    return subprocess.run(
        [sys.executable, "-c", command], env=environment, capture_output=True, text=True, timeout=patience(60)
    )


def test_no_file_handles_are_left(quick):
    data, more = pixels(seed=1), pixels(seed=2)
    with Raw(quick.connection) as raw:
        assert raw.upload(data)["stored"]
        fetch = {"type": "fetch", "digest": digest(data), "offset": 0, "length": 100}
        _, hard = resource.prlimit(quick.pid, resource.RLIMIT_NOFILE)
        soft, _ = resource.prlimit(quick.pid, resource.RLIMIT_NOFILE, (3, hard))
        wait_for(lambda: "upkeep" in quick.log and "a step" in quick.log, 30, "nothing was tidied up")
        for _ in range(20):
            assert raw.ask({"type": "ping"})["type"] == "pong"
            assert raw.ask_blob({"type": "ping"})[0]["type"] == "pong"
        refused, _ = raw.ask_blob(fetch)
        assert (refused["code"], refused["retryable"]) == ("busy", True)  # and not that it is lost
        assert raw.upload(more)["code"] == "busy"
        assert quick.log.count("Traceback") < 20  # each fault once, though it came at each turn

        resource.prlimit(quick.pid, resource.RLIMIT_NOFILE, (soft, hard))
        assert raw.ask_blob(fetch)[1] == data[:100]
        assert raw.upload(more)["stored"]


def test_the_state_directory_is_deleted(quick, no_torch):
    shutil.rmtree(quick.state_dir)
    assert quick.wait(30) == 1
    assert lock.owner(quick.state_dir) is None
    quick.start()
    with Raw(quick.connection) as raw:
        assert raw.ask({"type": "ping"})["type"] == "pong"


@pytest.mark.parametrize("name", [lock.LOCK_FILE, "jobs.sqlite"])
def test_what_it_works_on_is_replaced(quick, name):
    (quick.state_dir / name).unlink()
    (quick.state_dir / name).touch()
    wait_for(lambda: "removed or replaced" in quick.log, 30, "the daemon does not notice")
    assert quick.wait(30) == 1
    assert not (quick.state_dir / CONNECTION_FILE).exists()


def test_an_older_daemon_leaves_the_connection_file_of_its_successor(quick, state_dir, no_torch):
    os.kill(quick.pid, signal.SIGSTOP)
    moved = state_dir.with_name("moved")
    state_dir.rename(moved)
    with Daemon(state_dir, no_torch, prestart=False) as successor:
        os.kill(quick.pid, signal.SIGCONT)
        assert quick.wait(30) == 1
        assert read_connection(state_dir).pid == successor.pid


def test_the_connection_file_is_a_folder_when_it_starts(state_dir, no_torch):
    (state_dir / CONNECTION_FILE).mkdir()
    ended = serve(state_dir, no_torch)
    assert ended.returncode == 1
    assert f"{CONNECTION_FILE} is a folder; remove it" in ended.stderr
    assert lock.owner(state_dir) is None
    (state_dir / CONNECTION_FILE).rmdir()  # as it says
    with Daemon(state_dir, no_torch, prestart=False):
        pass


def test_the_connection_file_becomes_a_folder(quick):
    path = quick.state_dir / CONNECTION_FILE
    path.unlink()
    wait_for(path.is_file, 30, "it is not written again")
    path.write_text("{}")
    wait_for(lambda: "instance" in path.read_text(), 30, "it is not mended")
    path.unlink()
    path.mkdir()
    wait_for(lambda: "is a folder" in quick.log, 30, "the daemon does not notice")
    os.kill(quick.pid, signal.SIGTERM)
    assert quick.wait(30) == 0
    assert lock.owner(quick.state_dir) is None
    path.rmdir()


def test_what_takes_its_place_at_once_is_not_taken_for_the_connection_file(tmp_path, monkeypatch, caplog):
    from velatura.daemon.broker import presence

    path = tmp_path / CONNECTION_FILE

    def announce():
        path.write_text("{}")
        written = path.stat()
        path.unlink()
        path.mkdir()
        return written

    monkeypatch.setattr(presence, "EVERY_S", 0.0)
    watched = presence.Presence(tmp_path, announce)
    watched.announce()
    watched.look()
    assert any(CONNECTION_FILE in record.message for record in caplog.records)


def test_the_connection_file_comes_back_when_the_folder_is_removed(quick):
    path = quick.state_dir / CONNECTION_FILE
    path.unlink()
    path.mkdir()
    wait_for(lambda: "is a folder" in quick.log, 30, "the daemon does not notice")
    path.rmdir()
    wait_for(path.is_file, 30, "it is not written again")
    with Raw(quick.connection) as raw:
        assert raw.ask({"type": "ping"})["type"] == "pong"


class InProcess:
    """A broker in this process, so that a test can end one of its threads."""

    def __init__(self, state_dir):
        self.broker = Broker(state_dir, Settings(device="cpu", prestart=False))
        self.error = None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        wait_for((state_dir / CONNECTION_FILE).exists, 30, "it does not start")

    def _run(self):
        try:
            self.broker.run()
        except RuntimeError as error:
            self.error = str(error)

    def ends(self):
        self._thread.join(patience(30))
        assert not self._thread.is_alive()
        assert self.broker.close()
        return self.error


@pytest.fixture
def inside(tmp_path):
    switch = sys.getswitchinterval()
    made = InProcess(tmp_path)
    yield made
    made.broker.stop()
    made.ends()
    sys.setswitchinterval(switch)


def end_thread(name):
    """Raises SystemExit in a thread of this process, as soon as it next runs."""
    (thread,) = [thread for thread in threading.enumerate() if thread.name.startswith(name)]
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
    )
    return thread


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # it is what is meant
@pytest.mark.parametrize("name", ["control", "blobs"])
def test_a_socket_thread_that_has_ended_ends_the_daemon(inside, tmp_path, name):
    end_thread(name)
    assert inside.ends() == f"the {name} thread has ended"
    assert not (tmp_path / CONNECTION_FILE).exists()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # it is what is meant
def test_a_helper_that_has_ended_ends_the_daemon(inside, tmp_path):
    with Raw(read_connection(tmp_path)) as raw:
        assert raw.upload(pixels(seed=1))["stored"]
        end_thread(HELPER)
        raw.blob.send_multipart(
            [
                b'{"type":"put","seq":99,"session":"%s","digest":"%s","size":9}'
                % (raw.session.encode(), digest(b"x").encode())
            ]
        )
        assert inside.ends() == "the blob thread's helper has ended"


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")  # it is what is meant
def test_an_authenticator_that_has_ended_ends_the_daemon(inside, tmp_path):
    thread = inside.broker._gate
    assert ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread.ident), ctypes.py_object(SystemExit)
    )
    with Raw(read_connection(tmp_path), hello=False):  # its knock wakes the thread
        assert inside.ends() == "the gate has ended"


# No disk hangs when a test asks for it, so fsync waits for ever inside the daemon, as it does for a network
# drive that is gone. Python runs `sitecustomize` before the daemon's own code, which stays as it is.
HANGS = """
import os, sys, threading
from pathlib import Path
real = os.fsync
def hangs(handle):
    if Path(os.environ["HANGS"]).exists() and threading.current_thread().name.startswith("blobs"):
        threading.Event().wait()
    real(handle)
os.fsync = hangs
"""


def test_a_disk_that_hangs_does_not_keep_the_lock(state_dir, no_torch, tmp_path):
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(HANGS)
    hangs = tmp_path / "hangs"
    environment = {"PYTHONPATH": f"{site}{os.pathsep}{no_torch['PYTHONPATH']}", "HANGS": str(hangs)}
    with Daemon(state_dir, environment, prestart=False) as daemon:
        with Raw(daemon.connection) as raw:
            hangs.touch()
            data = pixels(seed=5)
            raw.ask_blob({"type": "put", "digest": digest(data), "size": len(data)})
            raw.blob.send_multipart(
                [
                    b'{"type":"chunk","seq":99,"session":"%s","digest":"%s","offset":0}'
                    % (raw.session.encode(), digest(data).encode()),
                    data,
                ]
            )
            assert raw.ask_blob({"type": "ping"})[0]["type"] == "pong"
        os.kill(daemon.pid, signal.SIGTERM)
        assert daemon.wait(60) == 1
        assert "does not end" in daemon.log
        assert lock.owner(state_dir) is None


def test_the_watchdog_ends_a_process_that_hangs():
    code = """
import threading
from velatura.daemon.watchdog import Watchdog
dog = Watchdog(0.2)
dog.wake()
threading.Event().wait()
"""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=patience(60)
    )
    assert ended.returncode == 1
    assert "most recent call first" in ended.stderr  # where it hangs


def test_a_journal_of_a_newer_velatura_does_not_keep_the_lock(state_dir, no_torch):
    import sqlite3

    with sqlite3.connect(state_dir / "jobs.sqlite") as db:
        db.execute("PRAGMA user_version = 99")
    db.close()
    ended = serve(state_dir, no_torch)
    assert (ended.returncode, "newer Velatura" in ended.stderr) == (1, True)


def test_a_worker_that_cannot_be_started_is_told(quick):
    data = pixels(seed=3)
    with Raw(quick.connection) as raw:
        assert raw.upload(data)["stored"]
        (quick.state_dir / "worker.out").mkdir()  # where its words should go
        job = new_job()
        assert raw.ask({"type": "submit", "job": job, "request": request(data)})["state"] == "queued"
        failed = raw.wait_for(job, "failed")
        assert failed["error"]["code"] == "unavailable"
        (quick.state_dir / "worker.out").rmdir()
