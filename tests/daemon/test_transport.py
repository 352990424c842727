"""Where the daemon listens, who can reach it there, and what a daemon that was killed leaves behind."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest

from tests.daemon.raw import Raw
from tests.daemon_fixture import Daemon
from tests.patience import patience
from velatura.daemon import pyzmq_dealer
from velatura.daemon.pyzmq_dealer import PyzmqDealer
from velatura.daemon.sockets import DOMAINS, choose_transport, clear
from velatura_protocol.client import Client
from velatura_protocol.endpoints import MAX_SUN_PATH, peer_uid
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest
from velatura_protocol.paths import CONNECTION_FILE, read_connection
from velatura_protocol.session import Link
from velatura_protocol.transfers import Download, upload
from velatura_protocol.zmtp import Dealer

pytestmark = [
    pytest.mark.timeout(120),
    pytest.mark.skipif(os.name != "posix", reason="there are no Unix sockets"),
]
root = pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can be others")
linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")

SOCKETS = [f"{domain}.sock" for domain in DOMAINS]


def there_and_back(state_dir, dealer):
    """A blob to the daemon and back."""
    data = os.urandom(3 << 20)
    link = Link(
        read_connection(state_dir), dealer, name="test", session="", timeout=10.0, on_event=lambda *_: None
    )
    with closing(link):
        upload(link, digest(data), data)
        assert Download(digest(data), len(data)).run(link) == data


def serve(state_dir, **environment):
    """A daemon that is not expected to start: its exit status and what it says."""
    ran = subprocess.run(
        [sys.executable, "-c", "from velatura.daemon.serve import main; raise SystemExit(main())"],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join(sys.path), "VELATURA_STATE_DIR": str(state_dir), **environment},
        capture_output=True,
        text=True,
        timeout=patience(60),
        check=False,
    )
    return ran.returncode, ran.stderr


@pytest.mark.parametrize("transport", ["auto", "ipc", "tcp"])
def test_bytes_travel(state_dir, no_torch, transport):
    with Daemon(state_dir, no_torch, prestart=False, transport=transport) as daemon:
        expected = "tcp://127.0.0.1:" if transport == "tcp" else "ipc://"
        assert daemon.connection.control.startswith(expected)
        assert daemon.connection.blob.startswith(expected)
        for dealer in (Dealer, PyzmqDealer):
            there_and_back(state_dir, dealer)
    assert not set(SOCKETS) & set(os.listdir(state_dir))


@linux
def test_with_unix_sockets_nothing_listens_at_a_port(state_dir, no_torch):
    """Nor anywhere else but at the three sockets, which are their owner's alone."""
    with Daemon(state_dir, no_torch) as daemon:
        daemon.worker_pid()
        links = [os.readlink(f"/proc/{daemon.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{daemon.pid}/fd")]
        sockets = {link[8:-1] for link in links if link.startswith("socket:[")}
        for table in ("tcp", "tcp6", "udp", "udp6"):
            with open(f"/proc/net/{table}") as lines:
                assert not sockets & {line.split()[9] for line in list(lines)[1:]}
        for name in SOCKETS:
            status = (state_dir / name).lstat()
            assert stat.S_ISSOCK(status.st_mode)
            assert stat.S_IMODE(status.st_mode) == 0o600


ANOTHER_USER = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
with socket.socket(socket.AF_UNIX) as caller:
    caller.settimeout(10)
    caller.connect(sys.argv[1])
    print(caller.recv(64).hex() or "nothing")
"""


@root
@linux
def test_another_user_is_not_let_in(no_torch):
    """By the socket's mode; and if that were wrong, by the daemon."""
    folder = Path(tempfile.mkdtemp(prefix="velatura-test-"))
    try:
        folder.chmod(0o711)
        (folder / "state").mkdir(mode=0o711)
        with Daemon(folder / "state", no_torch, prestart=False) as daemon:
            path = folder / "state" / "control.sock"
            knock = [sys.executable, "-c", ANOTHER_USER, str(path)]
            refused = subprocess.run(knock, capture_output=True, text=True, timeout=patience(30), check=False)
            assert "PermissionError" in refused.stderr
            path.chmod(0o666)
            cut = subprocess.run(knock, capture_output=True, text=True, timeout=patience(30), check=True)
            assert cut.stdout == "nothing\n"
            with Raw(daemon.connection) as raw:
                assert raw.ask({"type": "ping"})["type"] == "pong"
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize("dealer", [Dealer, PyzmqDealer])
def test_what_a_killed_daemon_leaves_is_cleared_by_the_next_one(state_dir, no_torch, dealer):
    with Daemon(state_dir, no_torch, prestart=False) as daemon:
        daemon.kill()
        assert set(SOCKETS) < set(os.listdir(state_dir))
        with closing(Client(state_dir, name="test", dealer=dealer)) as client:
            with pytest.raises(VelaturaError) as raised:
                client.connect(timeout=5.0)
            assert raised.value.code == "not-running"
            assert set(SOCKETS) < set(os.listdir(state_dir)), "a client clears nothing"
            daemon.start()
            assert client.connect(timeout=patience(10.0))["pid"] == daemon.pid


def test_a_second_daemon_takes_nothing_from_the_first(state_dir, no_torch):
    with Daemon(state_dir, no_torch, prestart=False) as daemon:
        status, said = serve(state_dir)
        assert (status, "already runs" in said) == (1, True)
        there_and_back(state_dir, Dealer)
        assert daemon.connection.pid == daemon.pid


def test_the_successors_socket_is_left_alone(state_dir, no_torch):
    """Somebody moved the directory away under the daemon, and another one serves there by now."""
    with Daemon(state_dir, no_torch, prestart=False) as daemon:
        (state_dir / "control.sock").unlink()
        (state_dir / "control.sock").write_text("another's")
        assert daemon.wait() == 1  # nobody finds it any more
        assert "removed or replaced" in daemon.log
        assert (state_dir / "control.sock").read_text() == "another's"


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_a_path_that_is_too_long_for_a_socket(tmp_path, no_torch, transport):
    aliases = tmp_path / "tmp"
    aliases.mkdir()
    state_dir = tmp_path / ("long" * 20) / ("longer" * 15)
    assert len(str(state_dir / "control.sock")) > MAX_SUN_PATH + 10
    environment = {**no_torch, "TMPDIR": str(aliases)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(aliases))
        with Daemon(state_dir, environment, transport=transport) as daemon:
            for dealer in (Dealer, PyzmqDealer):
                there_and_back(state_dir, dealer)
            daemon.worker_pid()
            assert [name for name in os.listdir(aliases) if name.startswith("velatura-")] == []
    assert not set(SOCKETS) & set(os.listdir(state_dir))


def test_a_client_may_call_the_directory_otherwise(state_dir, no_torch, tmp_path):
    """As where /home is a link to /var/home, and a sandbox shows one of them only."""
    (tmp_path / "var").symlink_to(state_dir)
    with Daemon(state_dir, no_torch, prestart=False):
        for dealer in (Dealer, PyzmqDealer):
            there_and_back(tmp_path / "var", dealer)


def test_the_workers_socket_is_not_for_clients(state_dir, no_torch):
    with Daemon(state_dir, no_torch, prestart=False) as daemon:
        address = str(state_dir / "worker.sock")
        for dealer in (Dealer, PyzmqDealer):
            with closing(dealer()) as caller, pytest.raises(VelaturaError) as raised:
                caller.connect(f"ipc://{address}", daemon.connection.token, patience(5.0))
            assert raised.value.code == "wrong-token", (dealer, raised.value.detail)


def test_a_handle_that_is_no_connection_any_more_says_nothing_of_the_peer():
    """libzmq closes it when a handshake fails, and another file may have its number by then."""
    with socket.socket() as other, socket.socket(socket.AF_UNIX) as alone:
        assert peer_uid(other) is None
        assert peer_uid(alone) is None
        pyzmq_dealer._check_peer(other.fileno())
        pyzmq_dealer._check_peer(alone.fileno())
        closed = other.fileno()
    pyzmq_dealer._check_peer(closed)
    here, there = socket.socketpair()
    with here, there:
        assert peer_uid(here) == os.geteuid()


# What lies in the daemon's way


@pytest.mark.parametrize("name", [*SOCKETS, CONNECTION_FILE])
def test_a_folder_in_the_place_of_a_file_is_refused_and_the_advice_helps(state_dir, no_torch, name):
    (state_dir / name / "something").mkdir(parents=True)
    status, said = serve(state_dir, **no_torch)
    assert (status, said) == (1, f"{state_dir / name} is a folder; remove it and start the daemon again.\n")
    shutil.rmtree(state_dir / name)
    with Daemon(state_dir, no_torch, prestart=False):
        there_and_back(state_dir, Dealer)


@pytest.mark.parametrize("name", [*SOCKETS, CONNECTION_FILE])
def test_a_link_in_the_place_of_a_file_is_replaced_and_not_followed(state_dir, no_torch, tmp_path, name):
    target = tmp_path / "target"
    target.write_text("the person's own")
    state_dir.mkdir(exist_ok=True)
    (state_dir / name).symlink_to(target)
    with Daemon(state_dir, no_torch, prestart=False):
        there_and_back(state_dir, Dealer)
    assert target.read_text() == "the person's own"


@pytest.mark.parametrize("mode", [0o770, 0o707, 0o777, 0o1777])
def test_a_directory_that_others_may_write_is_refused_and_the_advice_helps(state_dir, no_torch, mode):
    state_dir.mkdir(exist_ok=True)
    state_dir.chmod(mode)
    status, said = serve(state_dir, **no_torch)
    assert (status, said.count("\n"), os.listdir(state_dir)) == (1, 1, ["models.json"])
    advice = said.partition("forbid it: ")[2].split()
    subprocess.run(advice, check=True)
    with Daemon(state_dir, no_torch, prestart=False) as daemon:
        there_and_back(state_dir, Dealer)
        state_dir.chmod(mode)
        with pytest.raises(VelaturaError, match="chmod go-w") as raised:
            read_connection(state_dir)
        assert raised.value.code == "unavailable"
        state_dir.chmod(0o700)
        assert daemon.connection.pid == daemon.pid


@root
def test_a_directory_of_another_user_is_refused(state_dir, no_torch):
    state_dir.mkdir(exist_ok=True)
    os.chown(state_dir, 65534, 65534)
    status, said = serve(state_dir, **no_torch)
    assert (status, said.count("\n"), os.listdir(state_dir)) == (1, 1, ["models.json"])
    assert "belongs to another user; choose another: VELATURA_STATE_DIR or --state-dir" in said
    with pytest.raises(VelaturaError, match="belongs to another user"):
        read_connection(state_dir)


# The choice


def test_where_unix_sockets_do_not_work_tcp_serves(tmp_path):
    nowhere = tmp_path / "not there"
    assert choose_transport(nowhere, "auto") == "tcp"
    assert choose_transport(tmp_path, "auto") == "ipc"
    assert os.listdir(tmp_path) == []
    with pytest.raises(VelaturaError, match='transport = "tcp"'):
        choose_transport(nowhere, "ipc")


def test_without_unix_sockets_in_python_tcp_serves(tmp_path, monkeypatch):
    monkeypatch.delattr(socket, "AF_UNIX")
    assert choose_transport(tmp_path, "auto") == "tcp"


def test_a_transport_that_does_not_exist_is_refused(state_dir, no_torch):
    state_dir.mkdir(exist_ok=True)
    (state_dir / "settings.toml").write_text('transport = "pigeon"')
    status, said = serve(state_dir, **no_torch)
    assert (status, said.count("\n")) == (1, 1)
    assert "'pigeon'; it has to be auto, ipc, tcp" in said


def test_clearing_is_silent_where_there_is_nothing(tmp_path):
    clear(tmp_path)
    assert os.listdir(tmp_path) == []
