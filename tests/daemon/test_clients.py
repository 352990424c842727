"""Several clients at once: none disturbs another, and what they leave behind is as they asked."""

from __future__ import annotations

import itertools
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from tests.daemon.raw import MiB, Raw
from tests.daemon.samples import new_job, pixels, raster, request
from tests.daemon_fixture import Daemon, wait_for
from tests.patience import patience
from velatura.daemon.pyzmq_dealer import PyzmqDealer
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import encode
from velatura_protocol.zmtp import Dealer

NO_WORKER = True
pytestmark = pytest.mark.timeout(90)


def test_many_clients_at_once(broker):
    """Each sends a layer of its own, cancels, and reads the layer back."""

    def work(number):
        client = Client(broker.state_dir, name=f"client {number}", dealer=(Dealer, PyzmqDealer)[number % 2])
        client.connect()
        for turn in range(3):
            data = os.urandom(256 * 256 * 4)
            wanted = request(inputs={"source": raster(data, 256, 256), "mask": None}, canvas=[256, 256])
            job = new_job()
            blobs = {wanted["inputs"]["source"]["digest"]: data}
            assert client.submit(job, wanted, blobs)["state"] != "uploading", turn
            assert client.cancel(job)["state"] in ("cancelled", "started")
            assert client.fetch(next(iter(blobs))) == data
        client.close()
        done.append(number)

    done: list[int] = []
    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(done) == list(range(6))


WATCHER = """
import sys, time
from tests.daemon.raw import Raw
from velatura_protocol.paths import read_connection
raw = Raw(read_connection(sys.argv[1]))
raw.ask({"type": "watch", "jobs": sys.argv[2:]})
print("watching", flush=True)
time.sleep(60)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="cannot stop a process")
def test_a_stopped_client_disturbs_no_other(broker, raw):
    jobs = [new_job() for _ in range(100)]
    watcher = subprocess.Popen(
        [sys.executable, "-c", WATCHER, str(broker.state_dir), *jobs],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=subprocess.PIPE,
    )
    try:
        assert watcher.stdout.readline() == b"watching\n"
        watcher.send_signal(signal.SIGSTOP)
        slowest = 0.0
        for i, job in enumerate(jobs):
            began = time.monotonic()
            wanted = request(pixels(seed=2000 + i), prompt="x" * 1900)
            assert raw.ask({"type": "submit", "job": job, "request": wanted})["state"] == "uploading"
            assert raw.ask({"type": "cancel", "job": job})["state"] == "cancelled"
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < patience(2.0)
    finally:
        watcher.kill()
        watcher.wait()
        watcher.stdout.close()


def test_a_client_that_never_reads_is_cut_off_and_catches_up(broker, raw):
    """Answers that it does not read fill every buffer on the way. Later it asks how things stand."""
    job = new_job()
    connection, deaf = broker.connection, Dealer()
    deaf.connect(connection.control_endpoint(), connection.token, patience(5.0))
    deaf._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
    deaf.send(encode({"type": "hello", "seq": 1, "protocol": "1.0", "client": "deaf", "session": ""}))
    deaf.recv(5.0)
    deaf.send(encode({"type": "watch", "seq": 2, "jobs": [job]}))
    numbers = itertools.count(3)

    def cut_off():
        for _ in range(50):
            deaf.send(encode({"type": "methods", "seq": next(numbers)}))
        assert raw.ask({"type": "ping"})["type"] == "pong"
        return "does not read" in broker.log

    wait_for(cut_off, 30, "nobody is cut off")
    raw.ask({"type": "submit", "job": job, "request": request(pixels(seed=3000))})
    raw.ask({"type": "cancel", "job": job})
    deaf.close()
    client = Client(broker.state_dir, name="deaf no more")
    assert [state["state"] for state in client.watch([job])] == ["cancelled"]
    client.close()


def test_a_session_that_is_cut_off_is_told_to_say_hello(broker):
    with Raw(broker.connection) as first, Raw(broker.connection, hello=False) as second:
        hello = {"type": "hello", "protocol": "1.0", "client": "test", "session": first.session}
        second.ask(hello)
        first.session = ""
        assert first.ask({"type": "list"})["code"] == "no-session"
        assert first.ask({**hello, "session": ""})["type"] == "welcome"
        assert first.ask({"type": "list"})["type"] == "jobs"


def test_a_client_finds_the_next_daemon(state_dir, no_torch):
    with Daemon(state_dir, no_torch, prestart=False) as daemon:
        client = Client(state_dir, name="stays")
        job = new_job()
        client.connect()
        instance = client.welcome["instance"]
        client.request({"type": "submit", "job": job, "request": request()})
        client.watch([job])
        daemon.kill()
        daemon.restart()
        wait_for(lambda: client.events(0.1) and client.welcome["instance"] != instance, 20, "still lost")
        assert client.get(job)["state"] == "uploading"
        client.close()


@pytest.fixture(scope="module")
def brisk(tmp_path_factory, tiny_folder, no_torch):
    """A daemon with a fast heart, and little patience."""
    from tests.tiny import register_tiny_model

    state_dir = tmp_path_factory.mktemp("brisk") / "state"
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir, no_torch, prestart=False, heartbeat=0.3, waiting=4) as running:
        yield running


@pytest.mark.parametrize("kind", ["lease", "draft"])
def test_who_vanishes_takes_leased_jobs_along(brisk, kind):
    leased, free = new_job(), new_job()
    with Raw(brisk.connection) as witness:
        with Raw(brisk.connection) as gone:
            for job, flag in ((leased, True), (free, False)):
                wanted = request(pixels(seed=9), **{kind: flag})
                gone.ask({"type": "submit", "job": job, "request": wanted})
        witness.ask({"type": "watch", "jobs": [leased, free]})
        began = time.monotonic()
        states = {}
        while states.get(leased) != "cancelled":
            assert time.monotonic() - began < patience(10)
            witness.ask({"type": "ping"})
            states = {job: witness.ask({"type": "get", "job": job})["state"] for job in (leased, free)}
            time.sleep(0.05)
        assert time.monotonic() - began > 0.5
        assert states[free] == "uploading"
        witness.ask({"type": "cancel", "job": free})


def test_who_is_dead_is_found_out_by_the_next_event(tmp_path_factory, tiny_folder, no_torch):
    """A host kills its plug-in: the device is free at the next step, not after three heartbeats."""
    from tests.tiny import register_tiny_model

    leased, free = new_job(), new_job()
    state_dir = tmp_path_factory.mktemp("slow") / "state"
    register_tiny_model(state_dir, tiny_folder)
    with (
        Daemon(state_dir, no_torch, prestart=False, heartbeat=60) as daemon,
        Raw(daemon.connection) as witness,
    ):
        with Raw(daemon.connection) as gone:
            for job, flag in ((leased, True), (free, False)):
                wanted = request(pixels(seed=9), lease=flag)
                gone.ask({"type": "submit", "job": job, "request": wanted})
        witness.ask({"type": "cancel", "job": free})  # an event for the dead one

        def is_cancelled():
            return witness.ask({"type": "get", "job": leased})["state"] == "cancelled"

        wait_for(is_cancelled, 40, "the dead client's job goes on")


def test_who_comes_back_after_a_cut_has_not_vanished(monkeypatch):
    from velatura.daemon.broker import sessions

    now = 100.0
    monkeypatch.setattr(sessions.time, "monotonic", lambda: now)
    known = sessions.Sessions(5.0)
    here, dead = known.hello(b"a", "", "here", 0), known.hello(b"b", "", "dead", 0)
    known.cut(here)
    known.cut(dead)
    now += 0.9
    assert known.newly_vanished() == []
    known.hello(b"c", here.id, "here", 0)
    now += 0.2
    assert known.newly_vanished() == [dead]
    assert known.newly_vanished() == []


def test_who_pings_keeps_leased_jobs(brisk):
    with Raw(brisk.connection) as client:
        for _ in range(50):
            job, longest, heard = new_job(), 0.0, time.monotonic()
            client.ask({"type": "submit", "job": job, "request": request(pixels(seed=9), lease=True)})
            for _ in range(20):
                time.sleep(0.1)
                client.ask({"type": "ping"})
                longest, heard = max(longest, time.monotonic() - heard), time.monotonic()
            if longest < 2 * 0.3:  # else the machine was too busy for a heart as fast as that
                break
            client.ask({"type": "cancel", "job": job})
        assert client.ask({"type": "cancel", "job": job})["revision"] == 2


def test_a_leased_job_is_adopted_after_a_restart_or_cancelled(state_dir, no_torch):
    with Daemon(state_dir, no_torch, prestart=False, heartbeat=0.5) as daemon:
        adopted, orphan = new_job(), new_job()
        with Raw(daemon.connection) as client:
            for job in (adopted, orphan):
                client.ask({"type": "submit", "job": job, "request": request(lease=True)})
        daemon.kill()
        daemon.restart()
        with Raw(daemon.connection) as client:
            client.ask({"type": "watch", "jobs": [adopted]})
            for _ in range(25):
                client.ask({"type": "ping"})
                time.sleep(0.1)
            states = [client.ask({"type": "get", "job": job})["state"] for job in (adopted, orphan)]
            assert states == ["uploading", "cancelled"]


def test_who_asks_for_too_much_is_told_so(brisk):
    with Raw(brisk.connection) as greedy, Raw(brisk.connection) as other:
        jobs = [new_job() for _ in range(5)]
        wanted = request(pixels(seed=9))
        answers = [greedy.ask({"type": "submit", "job": job, "request": wanted}) for job in jobs]
        assert [answer["type"] for answer in answers] == ["job"] * 4 + ["error"]
        assert (answers[4]["code"], answers[4]["retryable"]) == ("busy", True)
        assert other.ask({"type": "submit", "job": jobs[4], "request": wanted})["type"] == "job"
        for job in jobs:
            other.ask({"type": "cancel", "job": job})


def test_a_client_says_what_refuses_it(broker):
    """The errors of the daemon arrive in the client as they were sent."""
    client = Client(broker.state_dir, name="refused")
    client.connect()
    with pytest.raises(VelaturaError) as raised:
        client.submit(new_job(), request(method="no-such"), {})
    assert raised.value.code == "unknown-method"
    data = os.urandom(MiB)
    wanted = request(inputs={"source": raster(data, 512, 512), "mask": None})
    with pytest.raises(VelaturaError) as raised:
        client.submit(new_job(), wanted, {wanted["inputs"]["source"]["digest"]: data[::-1]})
    assert raised.value.code == "blob-corrupt"
    client.close()
