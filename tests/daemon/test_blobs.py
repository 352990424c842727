"""Uploads and downloads over real sockets."""

from __future__ import annotations

import json
import os
import time

import pytest
import zmq

from tests.daemon.raw import MiB, Raw
from tests.daemon.samples import new_job, pixels, raster, request
from tests.daemon_fixture import Daemon, wait_for
from tests.patience import patience
from velatura_protocol.endpoints import password
from velatura_protocol.messages import digest

NO_WORKER = True
pytestmark = pytest.mark.timeout(60)


@pytest.fixture
def data():
    """Bytes that no other test has sent."""
    return os.urandom(3 * MiB + 17)


def put(raw, data, size=None):
    return raw.ask_blob({"type": "put", "digest": digest(data), "size": len(data) if size is None else size})[
        0
    ]


def chunk(raw, data, offset, length=MiB):
    message = {"type": "chunk", "digest": digest(data), "offset": offset}
    return raw.ask_blob(message, data[offset : offset + length])[0]


def fetch(raw, name, offset=0, length=MiB):
    return raw.ask_blob({"type": "fetch", "digest": name, "offset": offset, "length": length})


def download(raw, name):
    data, size = b"", 1
    while len(data) < size:
        answer, piece = fetch(raw, name, len(data))
        size, data = answer["size"], data + piece
    return data


def test_there_and_back(raw, data):
    assert put(raw, data)["offset"] == 0
    assert raw.upload(data)["stored"] is True
    assert put(raw, data)["offset"] == len(data)
    assert download(raw, digest(data)) == data


def test_an_upload_queues_the_job_that_needs_it(raw):
    data = pixels(seed=1001)
    job = new_job()
    assert raw.ask({"type": "submit", "job": job, "request": request(data)})["state"] == "uploading"
    raw.upload(data)
    assert raw.ask({"type": "get", "job": job})["state"] != "uploading"
    raw.ask({"type": "cancel", "job": job})


def test_a_chunk_out_of_place_is_ignored_and_told_where_it_stands(raw, data):
    put(raw, data)
    assert chunk(raw, data, MiB)["offset"] == 0
    assert chunk(raw, data, 0)["offset"] == MiB
    assert chunk(raw, data, 0) | {"re": 0} == {
        "type": "received",
        "re": 0,
        "digest": digest(data),
        "offset": MiB,
        "stored": False,
    }
    assert raw.upload(data)["stored"]


def test_two_clients_may_send_the_same(broker, raw, data):
    with Raw(broker.connection) as other:
        put(raw, data)
        assert chunk(raw, data, 0)["offset"] == MiB
        assert put(other, data)["offset"] == MiB
        assert other.upload(data)["stored"]
        assert chunk(raw, data, MiB)["stored"] is True


def test_damaged_bytes_are_refused_and_sent_again(raw, data):
    put(raw, data)
    chunk(raw, data, 0)
    chunk(raw, data, MiB)
    damaged = raw.ask_blob({"type": "chunk", "digest": digest(data), "offset": 2 * MiB}, b"\0" * MiB)[0]
    assert damaged["offset"] == 3 * MiB
    assert chunk(raw, data, 3 * MiB)["code"] == "blob-corrupt"
    assert put(raw, data)["offset"] == 0
    assert raw.upload(data)["stored"]


def test_more_than_was_announced_is_refused(raw, data):
    put(raw, data, size=MiB // 2)
    assert chunk(raw, data, 0)["code"] == "blob-corrupt"
    assert raw.upload(data)["stored"]  # the right size after all


def test_less_than_was_announced_is_refused(raw, data):
    put(raw, data[:MiB], size=MiB + 1)
    assert chunk(raw, data[:MiB], 0)["offset"] == MiB
    message = {"type": "chunk", "digest": digest(data[:MiB]), "offset": MiB}
    assert raw.ask_blob(message, b"x")[0]["code"] == "blob-corrupt"


@pytest.mark.parametrize(
    ("message", "code"),
    [
        ({"type": "put", "digest": "blake2b:0", "size": 1}, "bad-request"),
        ({"type": "put", "digest": digest(b""), "size": 0}, "bad-request"),
        ({"type": "put", "digest": digest(b""), "size": -1}, "bad-request"),
        ({"type": "put", "digest": digest(b""), "size": 1.5}, "bad-request"),
        ({"type": "put", "digest": digest(b""), "size": 2**40}, "too-large"),
        ({"type": "chunk", "digest": digest(b"?"), "offset": 0}, "unknown-blob"),
        ({"type": "fetch", "digest": digest(b"?"), "offset": 0, "length": 1}, "unknown-blob"),
        ({"type": "fetch", "digest": "../connection.json", "offset": 0, "length": 1}, "bad-request"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_makes_no_sense_is_refused(raw, message, code):
    assert raw.ask_blob(message, b"x" if message["type"] == "chunk" else None)[0]["code"] == code


def test_an_empty_chunk_is_refused(raw, data):
    put(raw, data)
    message = {"type": "chunk", "digest": digest(data), "offset": 0}
    assert raw.ask_blob(message)[0]["code"] == "bad-request"
    assert raw.ask_blob(message, b"")[0]["code"] == "bad-request"


def test_a_piece_beyond_the_end_is_empty(raw, data):
    raw.upload(data)
    answer, piece = fetch(raw, digest(data), offset=len(data) + 5)
    assert (answer["size"], piece) == (len(data), b"")
    assert len(fetch(raw, digest(data), length=100 * MiB)[1]) == MiB


def test_who_does_not_read_disturbs_nobody(broker, raw, data):
    """A client asks for 300 MiB and reads none of it."""
    raw.upload(data)
    with Raw(broker.connection) as stalled:
        stalled.blob.close()
        stalled.blob = dealer(broker.connection)
        for seq in range(300):
            message = {"type": "fetch", "seq": seq, "session": stalled.session, "digest": digest(data)}
            stalled.blob.send(json.dumps({**message, "offset": 0, "length": MiB}).encode())
        time.sleep(0.2)
        slowest = 0.0
        for _ in range(20):
            began = time.monotonic()
            assert raw.ask({"type": "ping"})["type"] == "pong"
            assert len(fetch(raw, digest(data))[1]) == MiB
            slowest = max(slowest, time.monotonic() - began)
        assert slowest < patience(1.0)
        stalled.blob.close()


def dealer(connection):
    """Takes one message from the wire and no more."""
    socket = zmq.Context.instance().socket(zmq.DEALER)
    socket.linger = 0
    socket.rcvhwm = 1
    socket.setsockopt(zmq.RCVBUF, 4096)
    endpoint = connection.blob_endpoint()
    socket.plain_username = b"velatura"
    socket.plain_password = password(connection.token, endpoint).encode()
    socket.connect(endpoint)
    return socket


@pytest.mark.parametrize("end", ["kill", "stop"])
def test_an_upload_goes_on_after_the_daemons_end(state_dir, no_torch, data, end):
    with Daemon(state_dir, no_torch, prestart=False) as daemon:
        with Raw(daemon.connection) as raw:
            put(raw, data)
            chunk(raw, data, 0)
            chunk(raw, data, MiB)
        getattr(daemon, end)()
        daemon.restart()
        with Raw(daemon.connection) as raw:
            assert chunk(raw, data, 2 * MiB)["code"] == "unknown-blob"
            assert put(raw, data)["offset"] == 2 * MiB
            assert raw.upload(data)["stored"]


def test_blobs_that_nobody_needs_go_when_there_is_no_room(state_dir, no_torch):
    first, second = os.urandom(MiB), os.urandom(MiB)
    with (
        Daemon(state_dir, no_torch, prestart=False, spool_budget=int(1.5 * MiB), sweep=0.2) as daemon,
        Raw(daemon.connection) as raw,
    ):
        job = new_job()
        wanted = request(inputs={"source": raster(first, 512, 512), "mask": None})
        raw.ask({"type": "submit", "job": job, "request": wanted})
        raw.ask({"type": "cancel", "job": job})
        raw.upload(first)
        blob = state_dir / "spool" / "blobs" / digest(first).removeprefix("blake2b:")
        os.utime(blob, (time.time() - 120,) * 2)  # written two minutes ago, as it were
        assert put(raw, second)["code"] == "disk-full"
        wait_for(lambda: "deleted" in daemon.log, 10, "nothing is deleted")
        assert raw.upload(second)["stored"]
