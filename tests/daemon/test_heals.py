"""A real daemon that comes to harm: the client gets its result all the same, and can have it forgotten."""

from __future__ import annotations

import sys
import threading
import time

import pytest

from tests.daemon.raw import Raw
from tests.daemon.samples import ENDLESS, new_job, pixels, request
from tests.daemon.test_crash import wait_for_attempt
from tests.daemon_fixture import Daemon, wait_for
from tests.more_methods import environment, let_end
from tests.patience import patience
from velatura.daemon.pyzmq_dealer import PyzmqDealer
from velatura_protocol.client import Client
from velatura_protocol.messages import digest

pytestmark = [
    pytest.mark.timeout(240),
    pytest.mark.skipif(sys.platform == "win32", reason="there are no such signals"),
]

SECRET = "zinnober"


def test_what_harms_a_daemon_costs_nothing_and_what_is_forgotten_is_in_no_file(state_dir):
    with Daemon(state_dir, environment()) as daemon:
        client = Client(state_dir, name="waits", dealer=PyzmqDealer, restart=daemon.start)
        client.connect()
        data, job, ends = pixels(seed=33), new_job(), []
        wanted = request(data, prompt=f"a {SECRET} hat", **ENDLESS)
        client.submit(job, wanted, {digest(data): data})
        waiter = threading.Thread(target=lambda: ends.append(client.wait(job, timeout=patience(150))))
        waiter.start()

        # killed again and again, with its worker: the client starts the next one, and no death is the job's
        for attempt in (1, 2, 3):
            wait_for_attempt(daemon, job, attempt)
            killed, pid = time.monotonic(), daemon.pid
            daemon.kill()
            wait_for(lambda pid=pid: daemon.pid != pid and daemon.is_up(), 60, "nobody starts it again")
            print(f"{time.monotonic() - killed:.1f} s from the daemon's death to the next one")
        let_end(state_dir)
        waiter.join()
        (done,) = ends
        assert (done["state"], done["attempts"]) == ("done", 4)

        # the result is damaged on the disk: it is made again
        name = done["result"]["layers"][0]["raster"]["digest"]
        blob = state_dir / "spool" / "blobs" / name.removeprefix("blake2b:")
        right = client.fetch(name, job=job)
        for spoilt in (bytes(len(right)), bytes(right)[:-1]):
            blob.write_bytes(spoilt)
            assert client.fetch(name, job=job) == right
        assert client.get(job)["attempts"] == 6

        # a method that quotes its prompt in a fault does not tell the logs
        failing = new_job()
        (state_dir / "quotes").touch()
        client.submit(failing, request(data, prompt=f"a {SECRET} cat", **ENDLESS), {})
        assert client.wait(failing, timeout=patience(100))["state"] == "failed"
        (state_dir / "quotes").unlink()
        logs = b"".join(path.read_bytes() for path in state_dir.glob("*.log*"))
        assert b"its text quotes the edit" in logs
        assert SECRET.encode() not in logs + (state_dir / "worker.out").read_bytes()

        # another edit of the same layer, which runs
        (state_dir / "let-end").unlink()
        client.submit(new_job(), wanted, {digest(data): data})
        forgotten = {"type": "forget", "jobs": [job], "inputs": [digest(data)]}
        counts = []
        wait_for(
            lambda: (
                counts.append(client.request(forgotten, timeout=patience(60))) or not counts[-1]["ending"]
            ),
            60,
            "it is not cancelled",
            every=0.2,
        )
        assert sum(answer["jobs"] for answer in counts) == 3
        client.close()
        daemon.stop()
        left = [path for path in state_dir.rglob("*") if path.is_file()]
        assert not [path for path in left if SECRET.encode() in path.read_bytes()]
        assert not [path for path in left if path.parent.name == "blobs"]


def test_a_client_that_watches_long_texts_costs_no_memory(broker):
    with Raw(broker.connection) as raw:
        raw.ask({"type": "watch", "jobs": []})
        before = memory_of(broker.pid)
        for i in range(300):
            assert (
                raw.ask({"type": "watch", "jobs": [f"{i}{'x' * 100_000}", f"{i}{'y' * 100_000}"]})["jobs"]
                == []
            )
        assert memory_of(broker.pid) - before < 30e6, "60 MB of texts were kept"


def memory_of(pid):
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * 4096
