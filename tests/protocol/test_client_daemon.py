"""The client against the real daemon, which is killed with SIGKILL in the middle."""

import os
import uuid
from contextlib import closing

import pytest

from tests.daemon_fixture import Daemon
from tests.patience import patience
from velatura.daemon.pyzmq_dealer import PyzmqDealer
from velatura_protocol.client import Client
from velatura_protocol.messages import digest
from velatura_protocol.zmtp import Dealer

pytestmark = [pytest.mark.timeout(240), pytest.mark.slow]

SIDE = 1024
PIXELS = os.urandom(SIDE * SIDE * 4)  # four chunks
NAME = digest(PIXELS)


def request() -> dict:
    source = {
        "digest": NAME,
        "width": SIDE,
        "height": SIDE,
        "channels": "BGRA",
        "dtype": "u8",
        "profile": "sRGB",
        "rect": [0, 0, SIDE, SIDE],
    }
    return {
        "velatura": 1,
        "method": "sdedit",
        "method_version": 0,
        "model": {"id": "", "digest": ""},
        "prompt": "a hat",
        "seed": 3,
        "variations": 1,
        "parameters": {"steps": 4},
        "inputs": {"source": source, "mask": None},
        "canvas": [SIDE, SIDE],
    }


class KillOnce:
    """Kills the daemon and starts it again, the first time that it is told of more than half."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.done = False

    def __call__(self, done: int, size: int) -> None:
        if done > size / 2 and not self.done:
            self.done = True
            self.daemon.kill()
            self.daemon.start()


@pytest.fixture(params=[Dealer, PyzmqDealer], ids=["stdlib", "pyzmq"])
def client(request, daemon):
    with closing(Client(daemon.state_dir, name="test", dealer=request.param)) as connected:
        connected.connect()
        yield connected


def test_a_daemon_killed_in_every_phase_loses_nothing(client, daemon):
    job = str(uuid.uuid4())
    upload = KillOnce(daemon)
    assert client.submit(job, request(), {NAME: PIXELS}, on_bytes=upload)["state"] in ("queued", "started")
    assert upload.done

    run, seen = KillOnce(daemon), []

    def on_event(event, _):
        seen.append(event["type"] if event["type"] != "connection" else event["state"])
        if event["type"] == "job" and event["state"] == "started":
            run(1, 1)

    state = client.wait(job, on_event=on_event, timeout=patience(180))
    assert run.done
    assert (state["state"], state["attempts"]) == ("done", 2)
    assert "lost" in seen and "restored" in seen

    raster = state["result"]["layers"][0]["raster"]
    download = KillOnce(daemon)
    data = client.fetch(raster["digest"], size=len(PIXELS), on_bytes=download)
    assert download.done
    assert digest(data) == raster["digest"]

    assert client.ack(job)["acknowledged"]
    assert client.submit(job, request(), {})["state"] == "done"  # the same id is the same job
