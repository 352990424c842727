"""kill -9, at many moments: no acknowledged job is lost, no result comes twice, nobody is left behind."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import sys
import threading
import time

import pytest

from tests.daemon.raw import Raw
from tests.daemon.samples import ENDLESS, new_job, pixels, raster, request
from tests.daemon.test_worker import ended, run, wait_until_it_runs
from tests.daemon_fixture import Daemon, wait_for
from tests.more_methods import LET_END, environment, let_end
from tests.patience import patience
from velatura.daemon.pyzmq_dealer import PyzmqDealer
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest

pytestmark = [
    pytest.mark.timeout(180),
    pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals"),
]


def states(raw, job):
    return [e["state"] for e, _ in raw.events if e["type"] == "job" and e["job"] == job]


def check_journal(state_dir, jobs):
    """After all is over: each job is there once, and a done one has a result whose blobs are in the spool."""
    db = sqlite3.connect(state_dir / "jobs.sqlite")
    rows = dict(db.execute("SELECT id, state FROM jobs"))
    blobs = db.execute("SELECT digest FROM blobs WHERE is_result").fetchall()
    db.close()
    assert set(jobs) <= set(rows)
    for (name,) in blobs:
        path = state_dir / "spool" / "blobs" / name.removeprefix("blake2b:")
        assert digest(path.read_bytes()) == name
    return rows


@pytest.fixture(scope="module")
def crashing(tmp_path_factory, tiny_folder):
    """A daemon whose workers come to grief, one test after another."""
    from tests.tiny import register_tiny_model

    state_dir = tmp_path_factory.mktemp("crashing") / "state"
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir, environment(), cancel_grace=1.0) as running:
        yield running


def test_a_killed_worker_costs_one_attempt_and_a_second_the_job(crashing):
    with Raw(crashing.connection) as raw:
        job = run(raw, **ENDLESS)
        wait_until_it_runs(raw, job)
        crashing.kill_worker()
        raw.wait_for(job, "queued")
        raw.events.clear()
        raw.wait_for(job, "started")  # progress may still be of the first attempt
        crashing.kill_worker()
        failed = ended(raw, job)
        assert (failed["state"], failed["error"]["code"]) == ("failed", "worker-lost")
        assert failed["attempts"] == 2


@pytest.mark.parametrize(("faults", "state"), [(1, "done"), (2, "failed")])
def test_a_device_fault_ends_the_worker_and_the_job_is_tried_once_more(crashing, faults, state):
    (crashing.state_dir / "device-fails").write_text(str(faults))
    let_end(crashing.state_dir)
    with Raw(crashing.connection) as raw:
        run(raw)
        first = crashing.worker_pid()
        end = ended(raw, run(raw, pixels(seed=faults), **ENDLESS))
        assert (end["state"], end["attempts"]) == (state, 2)
        if state == "failed":
            assert end["error"]["code"] == "worker-lost"
            assert "try a smaller selection" in end["error"]["message"]
        assert ended(raw, run(raw))["state"] == "done", "the next worker works"
        assert crashing.worker_pid() != first
    (crashing.state_dir / LET_END).unlink()


def test_a_stuck_worker_is_killed_after_the_grace(crashing):
    with Raw(crashing.connection) as raw:
        job, next_job = run(raw, **ENDLESS), run(raw)
        wait_until_it_runs(raw, job)
        crashing.signal_worker(signal.SIGSTOP)
        began = time.monotonic()
        assert raw.ask({"type": "cancel", "job": job})["state"] == "started"
        assert ended(raw, job)["state"] == "cancelled"
        assert time.monotonic() - began > 0.9
        assert ended(raw, next_job)["state"] == "done"


def test_a_worker_killed_when_its_result_is_written_leaves_one_result(crashing):
    with Raw(crashing.connection) as raw:
        blobs = crashing.state_dir / "spool" / "blobs"
        job = run(raw, pixels(seed=77), **ENDLESS)
        wait_until_it_runs(raw, job)
        before = set(blobs.iterdir())
        os.kill(crashing.pid, signal.SIGSTOP)  # the broker hears nothing now
        let_end(crashing.state_dir)
        wait_for(lambda: set(blobs.iterdir()) - before, 60, "there is no result")
        os.kill(crashing.worker_pid(), signal.SIGKILL)
        os.kill(crashing.pid, signal.SIGCONT)
        done = ended(raw, job)
        assert done["state"] == "done"
        assert states(raw, job).count("done") == 1
        (crashing.state_dir / LET_END).unlink()


@pytest.mark.parametrize("stopped", [False, True])
def test_no_worker_outlives_its_daemon(state_dir, stopped):
    with Daemon(state_dir) as daemon:
        daemon.worker_pid()
        if stopped:
            wait_for(lambda: "is ready" in daemon.log, 120, "the worker does not start")
            daemon.signal_worker(signal.SIGSTOP)
        daemon.kill()
        daemon.check_nothing_is_left()


def wait_for_attempt(daemon, job, number):
    def runs():
        known = raw.ask({"type": "get", "job": job})
        return (known["state"], known["attempts"]) == ("started", number)

    with Raw(daemon.connection) as raw:
        wait_for(runs, 90, f"attempt {number} does not begin")


def test_the_daemon_killed_while_a_job_runs(state_dir):
    """The client waits through it all: attempt 1 dies with the daemon, a clean stop costs nothing."""
    with Daemon(state_dir, environment()) as daemon:
        client = Client(state_dir, name="waits", dealer=PyzmqDealer)
        client.connect()
        data, job = pixels(seed=21), new_job()
        client.submit(job, request(data, **{**ENDLESS, "variations": 2}), {digest(data): data})
        final = []

        def wait():
            final.append(client.wait(job, timeout=patience(150)))
            final.append(client.fetch(final[0]["result"]["layers"][1]["raster"]["digest"]))
            final.append(client.ack(job))
            client.close()

        waiter = threading.Thread(target=wait)
        waiter.start()
        for attempt, end in enumerate((daemon.kill, daemon.stop), 1):
            wait_for_attempt(daemon, job, attempt)
            end()
            daemon.restart()
        let_end(state_dir)
        waiter.join()
        done, data, acknowledged = final
        assert (done["state"], done["attempts"], len(data)) == ("done", 3, 32 * 32 * 4)
        assert acknowledged["acknowledged"]
        daemon.stop()
        assert check_journal(state_dir, [job]) == {job: "done"}


def test_a_cancel_survives_the_daemon(state_dir):
    with Daemon(state_dir, environment()) as daemon:
        with Raw(daemon.connection) as raw:
            job = run(raw, **ENDLESS)
            wait_until_it_runs(raw, job)
            daemon.signal_worker(signal.SIGSTOP)
            assert raw.ask({"type": "cancel", "job": job})["state"] == "started"
        daemon.kill()
        daemon.restart(prestart=False)
        with Raw(daemon.connection) as raw:
            assert raw.ask({"type": "get", "job": job})["state"] == "cancelled"


def test_the_daemon_killed_at_any_moment_of_an_upload(state_dir, no_torch):
    """Whatever was answered before the kill is there after it."""
    chance = random.Random(3)
    acknowledged: dict[str, str] = {}
    stop = threading.Event()

    def submit_for_ever():
        client = Client(state_dir, name="persists")
        number = 0
        while not stop.is_set():
            number += 1
            data = number.to_bytes(4, "big") * (128 * 128)
            wanted = request(inputs={"source": raster(data, 128, 128), "mask": None}, canvas=[128, 128])
            job = new_job()
            try:
                state = client.submit(job, wanted, {digest(data): data}, should_stop=stop.is_set)
                acknowledged[job] = state["state"]
                if client.cancel(job)["state"] == "cancelled":
                    acknowledged[job] = "cancelled"
            except VelaturaError as error:
                assert stop.is_set(), error
        client.close()

    with Daemon(state_dir, no_torch, prestart=False) as daemon:
        submitter = threading.Thread(target=submit_for_ever)
        submitter.start()
        for _ in range(10):
            before = len(acknowledged)
            wait_for(lambda before=before: len(acknowledged) > before, 60, "nothing is acknowledged")
            time.sleep(chance.uniform(0.0, 0.1))
            daemon.kill()
            daemon.start()
        stop.set()
        submitter.join()
        daemon.stop()
        rows = check_journal(state_dir, acknowledged)
        for job, state in acknowledged.items():
            assert rows[job] == state or state != "cancelled"
            assert rows[job] != "uploading"
