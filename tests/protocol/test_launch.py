"""Starting the real daemon from a client."""

import os
import sys
from contextlib import closing

import pytest

from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.launch import clean_environment, start_daemon

SERVE = [sys.executable, "-m", "velatura", "serve"]

pytestmark = pytest.mark.timeout(90)


@pytest.fixture
def checkout(monkeypatch):
    """The daemon finds its code where this process does."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))


def test_start_and_stop(state_dir, checkout):
    start_daemon(SERVE, state_dir, 60)
    with closing(Client(state_dir, name="test")) as client:
        pid = client.connect()["pid"]
        start_daemon(["/nowhere/python"], state_dir, 60)  # one is enough: none is started
        assert client.request({"type": "ping"})["type"] == "pong"
        assert client.welcome["pid"] == pid
        client.request({"type": "shutdown"})
        while client.connected:
            client.events(0.1)


@pytest.mark.parametrize(
    "command",
    [["/nowhere/python", "-m", "velatura"], [], [sys.executable, "-c", "raise SystemExit('no torch')"]],
    ids=["absent", "empty", "ends"],
)
def test_a_daemon_that_cannot_be_started(tmp_path, command):
    with pytest.raises(VelaturaError) as caught:
        start_daemon(command, tmp_path, 10)
    assert caught.value.code == "unavailable"


@pytest.mark.skipif(os.name != "posix", reason="modes say nothing")
def test_a_directory_that_others_may_write_is_said_at_once(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(VelaturaError, match="chmod go-w") as caught:
        start_daemon([sys.executable, "-c", ""], tmp_path, 10)
    assert caught.value.code == "unavailable"
    assert os.listdir(tmp_path) == []


def test_its_last_words_are_kept(tmp_path):
    with pytest.raises(VelaturaError) as caught:
        start_daemon([sys.executable, "-c", "raise SystemExit('no torch')"], tmp_path, 10)
    assert "no torch" in caught.value.detail
    assert (tmp_path / "start.log").stat().st_mode & 0o777 == 0o600


def test_a_daemon_that_never_answers(tmp_path):
    with pytest.raises(VelaturaError, match="does not answer") as caught:
        start_daemon([sys.executable, "-c", "import time; time.sleep(3)"], tmp_path, 0.5)
    assert caught.value.code == "unavailable"


def test_the_daemon_inherits_nothing_of_the_hosts_python():
    environment = {"PYTHONHOME": "/krita", "HOME": "/home/anna", "PYTHONPATH": "/src"}
    assert clean_environment(environment) == {"HOME": "/home/anna", "PYTHONPATH": "/src"}


def test_the_daemon_inherits_nothing_of_an_appimage():
    environment = {
        "APPDIR": "/tmp/.mount_krita",
        "LD_LIBRARY_PATH": "/tmp/.mount_krita/usr/lib",
        "PATH": os.pathsep.join(["/tmp/.mount_krita/usr/bin", "/usr/bin"]),
    }
    assert clean_environment(environment) == {"APPDIR": "/tmp/.mount_krita", "PATH": "/usr/bin"}
