"""The client against a daemon that stops, stalls, forgets and lies."""

import os
import time
from contextlib import closing

import pytest

from velatura.daemon.pyzmq_dealer import PyzmqDealer
from velatura_protocol import transfers
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest
from velatura_protocol.zmtp import Dealer

from .small_daemon import SILENT, SmallDaemon

pytestmark = pytest.mark.timeout(60)

JOB = "1f0a3a52-7d0c-4f8b-9a52-0d6a3f1f2b11"
PIXELS = os.urandom(10_500)  # eleven chunks
NAME = digest(PIXELS)
REQUEST = {"inputs": {"source": {"digest": NAME}}}


@pytest.fixture(params=[Dealer, PyzmqDealer], ids=["stdlib", "pyzmq"])
def dealer(request):
    return request.param


@pytest.fixture
def daemon(tmp_path):
    with SmallDaemon(tmp_path) as running:
        yield running


@pytest.fixture
def client(daemon, dealer):
    with closing(Client(daemon.folder, name="test", dealer=dealer)) as connected:
        connected.connect()
        yield connected


def refused(call, *args, **options) -> str:
    """The code of the error that a call raises."""
    with pytest.raises(VelaturaError) as caught:
        call(*args, **options)
    return caught.value.code


def events_until(client, kind, timeout=10.0, **fields) -> list[dict]:
    """All events up to one of this kind with these fields."""
    found, deadline = [], time.monotonic() + timeout
    while time.monotonic() < deadline:
        for event, _ in client.events(0.1):
            found.append(event)
            if event["type"] == kind and fields.items() <= event.items():
                return found
    raise AssertionError(f"no {kind} {fields} among {found}")


class Once:
    """A script that does something the first time (or times) and leaves the rest to the daemon."""

    def __init__(self, act, times: int = 1, after: int = 0) -> None:
        self.act, self.times, self.after = act, times, after

    def __call__(self, message, payload):
        self.after -= 1
        if self.after >= 0 or self.times == 0:
            return None
        self.times -= 1
        return self.act(message, payload) if callable(self.act) else self.act


def raising(code: str):
    def act(*_):
        raise VelaturaError(code, "As the test wants it.")

    return act


def restarting(daemon):
    """A script that has the daemon killed and started again, and answers nothing."""

    def act(*_):
        daemon.restart_soon()
        return SILENT

    return act


# -- connecting ------------------------------------------------------------------------------------------


def test_hello(client):
    assert client.connected
    assert client.welcome["session"] == "session 1"
    assert client.methods()["methods"] == []


def test_no_daemon(tmp_path, dealer):
    assert refused(Client(tmp_path, name="test", dealer=dealer).connect) == "not-running"


def test_a_connection_file_without_its_daemon(daemon, dealer):
    daemon.kill()
    assert refused(Client(daemon.folder, name="test", dealer=dealer).connect) == "not-running"


def test_a_daemon_of_another_major_version(daemon, dealer):
    daemon.kill()
    daemon.protocol = "2.0"
    daemon.start()
    assert refused(Client(daemon.folder, name="test", dealer=dealer).connect) == "protocol-version"


def test_a_refusal_is_raised(client):
    assert refused(client.get, JOB) == "unknown-job"


def test_no_answer_in_time(client, daemon):
    daemon.script["methods"] = Once(SILENT)
    assert refused(client.request, {"type": "methods"}, timeout=0.2) == "timeout"
    assert client.methods()["type"] == "methods"


def test_a_late_answer_is_not_taken_for_another(client, daemon):
    daemon.script["methods"] = Once(lambda *_: time.sleep(0.3))
    assert refused(client.request, {"type": "methods"}, timeout=0.1) == "timeout"
    assert client.request({"type": "ping"})["type"] == "pong"


def test_a_forgotten_session_is_made_anew(client, daemon):
    daemon.script["methods"] = Once(raising("no-session"))
    assert client.methods()["type"] == "methods"
    assert daemon.count("hello") == 2


def test_requests_outlive_the_daemon(client, daemon):
    daemon.script["methods"] = Once(restarting(daemon))
    assert client.methods()["type"] == "methods"
    assert client.welcome["session"] == "session 2"


def test_shutdown_is_not_sent_to_the_next_daemon(client, daemon):
    daemon.script["shutdown"] = Once(restarting(daemon))
    assert refused(client.request, {"type": "shutdown"}) == "not-running"
    events_until(client, "connection", state="restored")
    assert daemon.count("shutdown") == 1


# -- events ----------------------------------------------------------------------------------------------


def test_events_keep_the_last_of_each_kind(client, daemon):
    client.methods()
    for step in range(5):
        daemon.push({"type": "progress", "job": JOB, "step": step})
    daemon.push({"type": "preview", "job": JOB, "step": 4}, b"PNG")
    daemon.push({"type": "from-the-future"})
    client.methods()
    client.methods()  # its answer comes after all these
    (progress, none), (preview, png) = client.events(1.0)
    assert (progress["step"], none) == (4, None)
    assert (preview["step"], bytes(png)) == (4, b"PNG")
    assert client.events(0.1) == []


def test_an_idle_client_pings_and_a_pong_is_no_event(tmp_path, dealer):
    with (
        SmallDaemon(tmp_path, heartbeat=0.3) as daemon,
        closing(Client(tmp_path, name="t", dealer=dealer)) as c,
    ):
        c.connect()
        assert c.events(1.5) == []
        assert 2 <= daemon.count("ping") <= 5


def test_a_client_that_only_hears_pings_too(tmp_path):
    """Else the daemon would take one that watches a long run for dead."""
    with SmallDaemon(tmp_path, heartbeat=0.2) as daemon, closing(Client(tmp_path, name="test")) as client:
        client.connect()
        while daemon.count("ping") < 2:
            daemon.push({"type": "progress", "job": JOB})
            client.events(0.05)
            time.sleep(0.02)


def test_a_daemon_that_is_stuck_is_given_up_although_its_socket_lives(tmp_path, dealer):
    with (
        SmallDaemon(tmp_path, heartbeat=0.1) as daemon,
        closing(Client(tmp_path, name="t", dealer=dealer)) as c,
    ):
        c.connect()
        daemon.script["ping"] = Once(SILENT, times=4)
        found = events_until(c, "connection", state="restored")
        assert found[0]["error"]["code"] == "timeout"
        assert daemon.count("hello") >= 2


def test_lost_and_restored(client, daemon):
    daemon.kill()
    assert events_until(client, "connection", state="lost")[0]["error"]["code"] == "not-running"
    assert not client.connected
    assert client.events(0.3) == []  # told once
    daemon.start()
    events_until(client, "connection", state="restored")
    assert client.connected


def test_events_alone_find_a_daemon(daemon, dealer):
    with closing(Client(daemon.folder, name="test", dealer=dealer)) as client:
        assert events_until(client, "connection") == [{"type": "connection", "state": "restored"}]


def test_watched_jobs_are_watched_again(client, daemon):
    client.submit(JOB, REQUEST, {NAME: PIXELS})
    daemon.kill()
    daemon.jobs[JOB] = {"state": "done"}
    daemon.start()
    found = events_until(client, "connection", state="restored")
    assert [event["state"] for event in found if event["type"] == "job"] == ["done"]


def test_a_job_that_the_next_daemon_does_not_know_has_failed(client, daemon):
    client.submit(JOB, REQUEST, {NAME: PIXELS})
    daemon.kill()
    daemon.requests.clear()
    daemon.start()
    (job,) = [e for e in events_until(client, "connection", state="restored") if e["type"] == "job"]
    assert (job["state"], job["error"]["code"]) == ("failed", "unknown-job")


def test_jobs_that_do_not_fit_one_answer_are_asked_for_one_by_one(client, daemon):
    client.submit(JOB, REQUEST, {NAME: PIXELS})
    daemon.script["watch"] = lambda *_: {"type": "jobs", "jobs": []}
    assert [job["job"] for job in client.watch([JOB, "unknown"])] == [JOB]


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
    assert time.monotonic() - started < 1.0


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
    assert time.monotonic() - started < 1.0


# -- waiting ---------------------------------------------------------------------------------------------


def finish(daemon, state="done"):
    daemon.jobs[JOB] = {"state": state}
    daemon.push({"type": "job", "job": JOB, "state": state})


def test_wait_tells_events_and_ends_with_the_job(client, daemon):
    client.submit(JOB, REQUEST, {NAME: PIXELS})
    seen = []

    def on_event(event, _):
        seen.append(event["type"])
        if event["type"] == "progress":
            finish(daemon)

    daemon.push({"type": "progress", "job": JOB})
    daemon.push({"type": "progress", "job": "another"})
    assert client.wait(JOB, on_event=on_event)["state"] == "done"
    assert seen == ["progress", "job"]
    assert client.events(0)[0][0]["job"] == "another"


def test_wait_for_a_job_that_is_over(client, daemon):
    client.submit(JOB, REQUEST, {NAME: PIXELS})
    daemon.jobs[JOB] = {"state": "failed"}
    assert client.wait(JOB)["state"] == "failed"


def test_wait_for_a_job_that_nobody_knows(client):
    assert refused(client.wait, JOB) == "unknown-job"


def test_wait_no_longer_than_wanted(client):
    client.submit(JOB, REQUEST, {NAME: PIXELS})
    assert refused(client.wait, JOB, timeout=0.2) == "timeout"


def test_wait_and_cancel(client):
    client.submit(JOB, REQUEST, {NAME: PIXELS})
    assert client.wait(JOB, should_cancel=lambda: True)["state"] == "cancelled"


def test_wait_outlives_the_daemon(client, daemon):
    client.submit(JOB, REQUEST, {NAME: PIXELS})
    seen = []

    daemon.jobs[JOB] = {"state": "started"}
    daemon.script["hello"] = Once(lambda *_: daemon.jobs.update({JOB: {"state": "done"}}))
    daemon.push({"type": "progress", "job": JOB})

    def on_event(event, _):
        seen.append(event.get("state"))
        if event["type"] == "progress":
            daemon.restart_soon()

    assert client.wait(JOB, on_event=on_event)["state"] == "done"
    assert seen == [None, "lost", "done", "restored"]


def test_nothing_is_waited_for_without_end(client, daemon, monkeypatch):
    monkeypatch.setattr("velatura_protocol.client.PATIENCE", 0.3)
    monkeypatch.setattr("velatura_protocol.upkeep.PATIENCE", 0.3)
    client.submit(JOB, REQUEST, {NAME: PIXELS})
    daemon.kill()
    assert refused(client.wait, JOB) == "not-running"
    assert refused(client.fetch, NAME) == "not-running"
    assert refused(client.submit, JOB, REQUEST, {NAME: PIXELS}) == "not-running"
