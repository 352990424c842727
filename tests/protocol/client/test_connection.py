"""The client against a daemon that stops, stalls and forgets."""

import time
from contextlib import closing

import pytest

from tests.patience import patience
from velatura_protocol.client import Client

from ..small_daemon import SILENT, SmallDaemon
from .scripts import JOB, NAME, PIXELS, REQUEST, Once, raising, refused, restarting

pytestmark = pytest.mark.timeout(60)


def events_until(client, kind, timeout=10.0, **fields) -> list[dict]:
    """All events up to one of this kind with these fields."""
    found, deadline = [], time.monotonic() + patience(timeout)
    while time.monotonic() < deadline:
        for event, _ in client.events(0.1):
            found.append(event)
            if event["type"] == kind and fields.items() <= event.items():
                return found
    raise AssertionError(f"no {kind} {fields} among {found}")


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
