"""`velatura stop` and `velatura doctor` where a daemon holds its directory and cannot be reached as usual.

What doctor advises is done here, and helps.
"""

from __future__ import annotations

import os
import signal
import sys

import pytest

from tests.daemon_fixture import Daemon, wait_for
from velatura.cli import stop
from velatura.cli.main import main
from velatura.daemon import lock
from velatura.install.doctor import examine
from velatura.install.profiles import Machine
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.paths import CONNECTION_FILE

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals"),
]


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """Look for torch without loading it; do not wait long for a daemon that is known not to answer."""
    monkeypatch.setattr("velatura.install.doctor.PROBE", (sys.executable, "-c", 'print(\'["2", "", ""]\')'))
    monkeypatch.setattr(stop, "SECONDS", 2.0)


@pytest.fixture
def idle(state_dir):
    with Daemon(state_dir, prestart=False) as running:
        yield running


@pytest.fixture
def doctor(tmp_path):
    machine = Machine("linux", {}, tmp_path, lambda name: None)

    def faults(state_dir):
        return [
            f
            for f in examine(state_dir, machine, host="krita")
            if f.level == "fault" and "daemon" in f.sentence
        ]

    return faults


def stopped(state_dir, capsys):
    """What `velatura stop` says, which has succeeded."""
    assert main(["stop", "--state-dir", str(state_dir)]) == 0
    assert lock.owner(state_dir) is None
    return capsys.readouterr().out


def answers(state_dir):
    client = Client(state_dir, name="test")
    try:
        client.connect()
        return client.request({"type": "ping"})["type"] == "pong"
    except VelaturaError:
        return False
    finally:
        client.close()


def test_a_daemon_that_does_not_answer(idle, doctor, capsys):
    os.kill(idle.pid, signal.SIGSTOP)
    (fault,) = doctor(idle.state_dir)
    assert f"process {idle.pid}" in fault.sentence and "does not answer" in fault.sentence
    assert "velatura stop" in fault.mend
    told = stopped(idle.state_dir, capsys)
    assert f"The daemon (process {idle.pid}) does not answer; ending it." in told
    assert told.endswith("The daemon has stopped.\n")
    assert idle.wait(30) == -signal.SIGKILL
    assert not doctor(idle.state_dir)
    idle.start()
    assert answers(idle.state_dir)


def test_a_connection_file_that_is_a_folder(idle, doctor, capsys):
    path = idle.state_dir / CONNECTION_FILE
    path.unlink()
    path.mkdir()
    (fault,) = doctor(idle.state_dir)
    assert f"{path} is a folder" in fault.sentence and str(path) in fault.mend
    path.rmdir()
    wait_for(lambda: answers(idle.state_dir), 30, "the advice does not help")
    assert not doctor(idle.state_dir)

    path.unlink()
    path.mkdir()
    assert stopped(idle.state_dir, capsys).endswith("The daemon has stopped.\n")
    assert idle.wait(30) == 0  # in good order
    path.rmdir()


@pytest.mark.parametrize("text", [None, "", "{}", '{"pid": 1}'])
def test_a_connection_file_that_is_gone_or_broken(idle, doctor, capsys, text):
    path = idle.state_dir / CONNECTION_FILE
    os.kill(idle.pid, signal.SIGSTOP)  # else it is written again
    path.unlink()
    if text is not None:
        path.write_text(text)
        path.chmod(0o600)
    (fault,) = doctor(idle.state_dir)
    assert f"process {idle.pid}" in fault.sentence
    os.kill(idle.pid, signal.SIGCONT)
    assert stopped(idle.state_dir, capsys).endswith("The daemon has stopped.\n")
    assert idle.wait(30) == 0


def test_a_connection_file_that_others_may_read(idle, doctor, capsys):
    path = idle.state_dir / CONNECTION_FILE
    path.chmod(0o644)
    (fault,) = doctor(idle.state_dir)
    assert "not yours alone" in fault.sentence and "velatura stop" in fault.mend and str(path) in fault.mend
    stopped(idle.state_dir, capsys)
    path.unlink(missing_ok=True)
    assert idle.wait(30) == 0
    idle.start()
    assert answers(idle.state_dir)


def test_a_file_of_an_older_daemon_names_nobody(tmp_path, capsys):
    """Nobody holds the lock, so the process that the file names is not ours to end."""
    (tmp_path / lock.LOCK_FILE).touch()
    (tmp_path / lock.OWNER_FILE).write_text(str(os.getpid()))
    assert lock.owner(tmp_path) is None
    assert stopped(tmp_path, capsys) == "No daemon was running.\n"


def test_a_holder_that_has_no_name(tmp_path, capsys):
    with lock.held(tmp_path):
        assert lock.owner(tmp_path) == os.getpid()
        (tmp_path / lock.OWNER_FILE).write_text("?")
        assert lock.owner(tmp_path) == lock.UNKNOWN
        assert main(["stop", "--state-dir", str(tmp_path)]) == 3
        assert "an unknown process" in capsys.readouterr().err
    assert lock.owner(tmp_path) is None
