"""Drafts over real sockets: the last preview comes, nothing stays."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from tests.daemon.raw import Raw
from tests.daemon.samples import ENDLESS, new_job, pixels, request
from tests.daemon_fixture import Daemon, wait_for
from tests.more_methods import environment
from tests.tiny import register_tiny_model
from velatura_protocol.client import Client
from velatura_protocol.messages import digest

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module")
def broker(tmp_path_factory, tiny_folder):
    """A daemon that waits for clients without a heartbeat: drafts end with theirs."""
    state_dir = tmp_path_factory.mktemp("drafts") / "state"
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir, environment(), heartbeat=60.0) as running:
        with Raw(running.connection) as raw:
            wait_for(lambda: raw.ask({"type": "ping"})["worker"] == "idle", 240, "no worker", every=0.5)
        yield running


def submit(raw, data, **changes):
    """The job's id, and what had to be uploaded for it."""
    job = new_job()
    answer = raw.ask({"type": "submit", "job": job, "request": request(data, draft=True, **changes)})
    assert answer["type"] == "job", answer
    if answer["missing"]:
        assert raw.upload(data)["stored"]
    return job, answer["missing"]


def ended(raw, job):
    return raw.wait_for(job, "done", "failed", "cancelled")


def blobs(broker):
    return sorted(path.name for path in (broker.state_dir / "spool" / "blobs").iterdir())


def test_the_last_preview_comes_before_the_end_and_no_layer(broker, raw):
    data = pixels(seed=21)
    job, missing = submit(raw, data, variations=3, steps=30)
    done = ended(raw, job)
    assert missing == [digest(data)]
    assert done["state"] == "done" and done["result"].keys() == {"seconds", "layers"}
    assert done["result"]["layers"] == [] and done["result"]["seconds"] > 0
    mine = [(event, payload) for event, payload in raw.events if event["job"] == job]
    assert mine[-1][0] == done
    previews = [(event["step"], payload) for event, payload in mine if event["type"] == "preview"]
    last = max(event["steps"] for event, _ in mine if event["type"] == "progress")
    steps = [step for step, _ in previews]
    assert steps == sorted(set(steps)) and steps[-1] == last
    assert mine[-2][0]["type"] == "preview"
    with Image.open(io.BytesIO(previews[-1][1])) as shown:
        assert shown.size == (64, 64)  # the model's


def test_the_next_draft_uploads_nothing_and_shows_what_the_same_request_did(broker, raw):
    data = pixels(seed=22)
    shown = []
    for _ in range(2):
        job, missing = submit(raw, data)
        assert ended(raw, job)["state"] == "done"
        shown.append([p for e, p in raw.events if e["type"] == "preview" and e["job"] == job][-1])
    assert missing == [] and shown[0] == shown[1]


def test_only_inputs_are_kept_and_nothing_is_listed(broker, raw):
    before = blobs(broker)
    data = pixels(seed=23)
    job, _ = submit(raw, data)
    ended(raw, job)
    assert sorted({*blobs(broker)} - {*before}) == [digest(data).removeprefix("blake2b:")]
    assert job not in [known["job"] for known in raw.ask({"type": "list"})["jobs"]]
    assert raw.ask({"type": "get", "job": job})["state"] == "done"


def test_a_newer_draft_takes_the_place_of_the_one_that_runs(broker, raw):
    data = pixels(seed=24)
    runs, _ = submit(raw, data, **ENDLESS)
    raw.wait_for(runs, "started")
    waits, _ = submit(raw, data, **ENDLESS)
    newer, _ = submit(raw, data)
    for job in (waits, runs):
        raw.ask({"type": "cancel", "job": job})
    assert ended(raw, newer)["state"] == "done"
    assert [ended(raw, job)["state"] for job in (waits, runs)] == ["cancelled"] * 2


def test_a_client_that_waits_only_after_the_end_is_shown_the_last_preview(broker):
    client, data, job, heard = Client(broker.state_dir, name="late"), pixels(seed=25), new_job(), []
    client.connect()
    client.submit(job, request(data, draft=True), {digest(data): data})
    wait_for(lambda: client.get(job)["state"] == "done", 120, "it does not end")
    client.wait(job, on_event=lambda event, _: heard.append(event["type"]))
    client.close()
    assert "preview" in heard
    assert "job" not in heard, "an older state than the one that is returned"
