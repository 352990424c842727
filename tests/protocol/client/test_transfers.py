"""Uploads and downloads against a daemon that stops, stalls, forgets and lies."""

import time

import pytest

from tests.patience import patience
from velatura_protocol import transfers
from velatura_protocol.messages import digest

from ..small_daemon import SILENT
from .scripts import JOB, NAME, PIXELS, REQUEST, Once, raising, refused, restarting

pytestmark = pytest.mark.timeout(60)


# -- uploads ---------------------------------------------------------------------------------------------


def test_submit_uploads_what_is_missing(client, daemon):
    seen = []
    job = client.submit(JOB, REQUEST, {NAME: PIXELS}, on_bytes=lambda *at: seen.append(at))
    assert job["state"] == "queued"
    assert daemon.blobs == {NAME: PIXELS}
    assert seen[0] == (0, 10_500) and seen[-1] == (10_500, 10_500) and seen == sorted(seen)


def test_what_the_daemon_has_is_not_sent_again(client, daemon):
    daemon.blobs[NAME] = PIXELS
    assert client.submit(JOB, REQUEST, {NAME: PIXELS})["state"] == "queued"
    assert daemon.count("put") == 0


def test_several_blobs_count_together(client, daemon):
    mask = b"mask" * 100
    request = {"inputs": {"source": {"digest": NAME}, "mask": {"digest": digest(mask)}}}
    seen = []
    client.submit(JOB, request, {NAME: PIXELS, digest(mask): mask}, on_bytes=lambda *at: seen.append(at))
    assert set(daemon.blobs) == {NAME, digest(mask)}
    assert seen[-1] == (10_900, 10_900) and seen == sorted(seen)


def test_at_most_the_credit_is_in_flight(client, daemon):
    """The daemon stops answering: no more than four chunks may come."""
    daemon.script["chunk"] = lambda *_: SILENT
    until = time.monotonic() + 0.5
    code = refused(client.submit, JOB, REQUEST, {NAME: PIXELS}, should_stop=lambda: time.monotonic() > until)
    assert code == "cancelled"
    assert daemon.count("chunk") == 4


def test_should_stop_is_heeded_at_once(client, daemon):
    daemon.script["chunk"] = lambda *_: SILENT
    started = time.monotonic()
    refused(client.submit, JOB, REQUEST, {NAME: PIXELS}, should_stop=lambda: time.monotonic() > started + 0.2)
    assert time.monotonic() - started < patience(1.0)


def test_an_upload_goes_on_where_the_daemon_died(client, daemon):
    daemon.script["chunk"] = Once(restarting(daemon), after=6)
    seen = []
    assert (
        client.submit(JOB, REQUEST, {NAME: PIXELS}, on_bytes=lambda *at: seen.append(at))["state"] == "queued"
    )
    assert daemon.blobs == {NAME: PIXELS}
    assert daemon.count("submit") == 2 and daemon.count("put") == 2
    second = max(i for i, message in enumerate(daemon.heard) if message["type"] == "put")
    assert next(m for m in daemon.heard[second:] if m["type"] == "chunk")["offset"] == 6000


def test_an_upload_that_stands_elsewhere_is_taken_up_there(client, daemon):
    def forget(message, _):
        daemon.partial[NAME].clear()

    daemon.script["chunk"] = Once(forget, after=3)
    client.submit(JOB, REQUEST, {NAME: PIXELS})
    assert daemon.blobs == {NAME: PIXELS}


def test_a_busy_daemon_is_asked_again(client, daemon):
    daemon.script["chunk"] = Once(raising("busy"), times=3, after=2)
    daemon.script["put"] = Once(raising("busy"))
    client.submit(JOB, REQUEST, {NAME: PIXELS})
    assert daemon.blobs == {NAME: PIXELS}


def test_a_daemon_that_stays_busy(client, daemon, monkeypatch):
    monkeypatch.setattr(transfers, "PATIENCE", 0.3)
    daemon.script["put"] = raising("busy")
    assert refused(client.submit, JOB, REQUEST, {NAME: PIXELS}) == "busy"


def test_bytes_damaged_on_the_way_are_sent_again(client, daemon):
    def damage(message, payload):
        payload[0] ^= 1

    daemon.script["chunk"] = Once(damage, after=2)
    client.submit(JOB, REQUEST, {NAME: bytearray(PIXELS)})
    assert daemon.blobs == {NAME: PIXELS}


def test_bytes_that_are_not_what_was_announced(client):
    assert refused(client.submit, JOB, REQUEST, {NAME: PIXELS[::-1]}) == "blob-corrupt"


@pytest.mark.parametrize("code", ["disk-full", "too-large", "internal"])
def test_a_refused_upload(client, daemon, code):
    daemon.script["chunk"] = Once(raising(code), after=2)
    assert refused(client.submit, JOB, REQUEST, {NAME: PIXELS}) == code
    assert client.connected


def test_a_refused_submission(client, daemon):
    daemon.script["submit"] = raising("empty-mask")
    assert refused(client.submit, JOB, REQUEST, {}) == "empty-mask"


def test_a_blob_that_is_not_at_hand(client):
    assert refused(client.submit, JOB, REQUEST, {}) == "unknown-blob"


@pytest.mark.parametrize("offset", [-1, 10_501, 1.5, None, True, "0"])
def test_an_answer_that_makes_no_sense(client, daemon, offset):
    daemon.script["put"] = lambda *_: {"type": "ready", "offset": offset}
    assert refused(client.submit, JOB, REQUEST, {NAME: PIXELS}) == "bad-message"


# -- downloads -------------------------------------------------------------------------------------------


def test_fetch(client, daemon):
    daemon.blobs[NAME] = PIXELS
    seen = []
    assert client.fetch(NAME, size=len(PIXELS), on_bytes=lambda *at: seen.append(at)) == PIXELS
    assert seen[-1] == (10_500, 10_500) and seen == sorted(seen)


@pytest.mark.parametrize("size", [0, 1, 999, 1000, 1001])
def test_fetch_any_size(client, daemon, size):
    daemon.blobs[digest(PIXELS[:size])] = PIXELS[:size]
    assert client.fetch(digest(PIXELS[:size])) == PIXELS[:size]


def test_a_download_goes_on_where_the_daemon_died(client, daemon):
    daemon.blobs[NAME] = PIXELS
    daemon.script["fetch"] = Once(restarting(daemon), after=6)
    assert client.fetch(NAME) == PIXELS
    again = [message["offset"] for message in daemon.heard if message["type"] == "fetch"].count(0)
    assert again == 1


def test_a_damaged_download_is_fetched_again(client, daemon):
    def damage(message, _):
        return {"type": "data", "offset": message["offset"], "size": 10_500}, bytes(1000)

    daemon.blobs[NAME] = PIXELS
    daemon.script["fetch"] = Once(damage, after=2)
    assert client.fetch(NAME) == PIXELS
    daemon.script["fetch"] = Once(damage, times=99, after=2)
    assert refused(client.fetch, NAME) == "blob-corrupt"


def test_a_busy_download(client, daemon):
    daemon.blobs[NAME] = PIXELS
    daemon.script["fetch"] = Once(raising("busy"), times=2, after=3)
    assert client.fetch(NAME) == PIXELS


@pytest.mark.parametrize("size", [-1, 2**53 - 1, None, "1", 10_499])
def test_a_size_that_makes_no_sense(client, daemon, size):
    daemon.script["fetch"] = lambda *_: ({"type": "data", "offset": 0, "size": size}, b"")
    assert refused(client.fetch, NAME, size=len(PIXELS)) == "blob-corrupt"


def test_an_unknown_blob(client):
    assert refused(client.fetch, NAME) == "unknown-blob"


def test_fetch_can_be_stopped(client, daemon):
    daemon.script["fetch"] = lambda *_: SILENT
    started = time.monotonic()
    assert refused(client.fetch, NAME, should_stop=lambda: time.monotonic() > started + 0.2) == "cancelled"
    assert time.monotonic() - started < patience(1.0)
