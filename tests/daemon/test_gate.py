"""Who knocks without a token neither fills the daemon's memory nor takes its file handles."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest
import zmq

from tests.daemon.raw import MiB, Raw
from tests.daemon.samples import new_job, pixels, request
from tests.daemon_fixture import Daemon, wait_for
from tests.patience import patience
from velatura.daemon import sockets
from velatura.daemon.broker import handles
from velatura.daemon.security import Gate
from velatura.daemon.sockets import CONTROL, open_door
from velatura_lab.soak import hostile
from velatura_protocol.zmtp import Dealer

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform != "linux", reason="reads /proc"),
]
TOKEN = "the-token"
ATTACKERS = 4


def hostile_process(endpoint, kind, number):
    command = [sys.executable, hostile.__file__, endpoint, kind, str(number)]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def memory(pid):
    """Bytes that are resident."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def open_handles(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def attack(daemon, each):
    """All attackers at once, `each` times each, at both sockets; then a look at how the daemon fares."""
    connection = daemon.connection
    ends = [connection.control_endpoint(), connection.blob_endpoint()] * (ATTACKERS // 2)
    attackers = [hostile_process(end, "knock", each) for end in ends]
    for attacker in attackers:
        attacker.communicate(timeout=patience(60))
        assert attacker.returncode == 0
    with Raw(connection) as raw:
        assert raw.ask({"type": "ping"})["type"] == "pong"
    return memory(daemon.pid)


@pytest.mark.slow
@pytest.mark.parametrize(("transport", "each"), [("ipc", 3000), ("tcp", 300)])
def test_hostile_handshakes_leave_memory_as_it_was(state_dir, no_torch, transport, each):
    """It levels off: it takes what a thousand questions at each of two sockets need, once and not each time.
    Before there was the gate, 36,000 knocks at Unix sockets took 313 MiB, and went on.

    (TCP knocks are slow: the system itself lets only so many wait.)
    """
    with Daemon(state_dir, no_torch, prestart=False, transport=transport) as daemon:
        most = quiet = memory(daemon.pid)
        level = rounds = 0
        while level < 2:
            now, rounds = attack(daemon, each), rounds + 1
            print(f"{transport}: {now / MiB:.1f} MiB after {rounds * ATTACKERS * each} knocks")
            assert now < quiet + 64 * MiB
            assert rounds < 12
            level = level + 1 if now < 1.05 * most else 0
            most = max(most, now)


@pytest.mark.parametrize("transport", ["ipc", "tcp"])
def test_a_crowd_does_not_take_the_file_handles(state_dir, no_torch, transport):
    """As many connections as the daemon may have files: who is connected goes on working."""
    limit = "import resource; resource.setrlimit(resource.RLIMIT_NOFILE, (1600, 1600))"
    with Daemon(state_dir, no_torch, first=limit, prestart=False, transport=transport) as daemon:
        connection = daemon.connection
        with Raw(connection) as raw, contextlib.ExitStack() as stack:
            assert raw.ask({"type": "ping"})["type"] == "pong"
            assert raw.ask_blob({"type": "ping"})[0]["type"] == "pong"
            crowds = [
                hostile_process(end, "crowd", 800)
                for end in (connection.control_endpoint(), connection.blob_endpoint())
            ]
            for crowd in crowds:
                stack.callback(crowd.communicate, timeout=patience(60))
            assert all(crowd.stdout.readline() == "here\n" for crowd in crowds)
            assert open_handles(daemon.pid) > 300, "the crowd was let in"
            for seed in range(3):
                data = pixels(seed=seed)
                wanted = {"type": "submit", "job": new_job(), "request": request(data)}
                assert raw.ask(wanted)["type"] == "job"
                assert raw.upload(data)["stored"] is True
            assert open_handles(daemon.pid) < 400
        with Raw(connection) as raw:  # the crowd has gone
            assert raw.ask({"type": "ping"})["type"] == "pong"
        assert "Too many open files" not in daemon.log


def test_who_says_nothing_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(sockets, "HANDSHAKE_MS", 200)
    with (
        door(tmp_path, 16) as ours,
        hostile.connect(ours.address) as silent,
        hostile.connect(ours.address) as greets,
    ):
        greets.sendall(hostile.GREETING)
        for caller in (silent, greets):
            caller.settimeout(10)
            while caller.recv(1024):  # the daemon's greeting, then the end
                pass


def test_of_too_many_the_last_are_cut_off_and_there_is_room_again(tmp_path):
    with door(tmp_path, 8) as ours:
        first = Dealer()
        first.connect(ours.address, TOKEN, 5.0)
        crowd = [hostile.connect(ours.address) for _ in range(40)]
        try:
            for late in crowd[-20:]:
                late.settimeout(10)
                while late.recv(1024):
                    pass
            first.send([b"still here"])
            assert ours.router.poll(5000)
        finally:
            for caller in crowd:
                caller.close()

        def room_again():
            with contextlib.suppress(Exception):
                late = Dealer()
                late.connect(ours.address, TOKEN, 1.0)
                late.close()
                return True

        wait_for(room_again, 10, "nobody gets in any more")
        first.close()


@contextlib.contextmanager
def door(folder, connections):
    with zmq.Context() as context:
        gate = Gate(context, connections)
        ours = open_door(context, gate, CONTROL, folder, "ipc", waiting=10)
        gate.start()
        gate.allow(CONTROL, ours.key(TOKEN))
        try:
            yield ours
        finally:
            ours.router.close()
            assert gate.close() is True


def test_the_soft_limit_of_files_is_raised():
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    program = """if True:
        import resource
        from velatura.daemon.broker import handles
        hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (1300, hard))
        few = handles.for_connections(4096)
        handles.raise_limit()
        print(few, resource.getrlimit(resource.RLIMIT_NOFILE)[0], handles.for_connections(4096))
    """
    ran = subprocess.run(
        [sys.executable, "-c", program],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=True,
    )
    wanted = handles.WANTED if before[1] == resource.RLIM_INFINITY else min(handles.WANTED, before[1])
    many = min(4096, wanted - handles.RESERVED)
    assert [int(number) for number in ran.stdout.split()] == [handles.LEAST, wanted, many]
