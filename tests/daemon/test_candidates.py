"""Candidates over real sockets: each comes as it is done, to clients that know them, and none is lost."""

from __future__ import annotations

from contextlib import closing

import pytest

from tests.daemon.raw import Raw
from tests.daemon.samples import new_job, raster, request
from tests.daemon_fixture import Daemon
from tests.patience import patience
from tests.tiny import register_tiny_model
from velatura_protocol.candidates import of
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest
from velatura_protocol.paths import read_connection

pytestmark = pytest.mark.timeout(200)
DATA = bytes(value for i in range(32 * 32) for value in (i % 256, 90, 255 - i % 256, 255))


@pytest.fixture(scope="module")
def server(tmp_path_factory, tiny_folder):
    state_dir = tmp_path_factory.mktemp("candidates")
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir, prestart=False) as running:
        yield running


@pytest.fixture
def client(server):
    with closing(Client(server.state_dir, name="test")) as connected:
        connected.connect()
        yield connected


def submitted(client, **changes):
    job = new_job()
    wanted = request(DATA, **{"variations": 3, "inputs": {"source": raster(DATA), "mask": None}, **changes})
    client.submit(job, wanted, {digest(DATA): DATA})
    return job


def test_each_variation_comes_before_the_end_as_it_will_be(client):
    job, events = submitted(client), []
    state = client.wait(job, on_event=lambda e, _: events.append(e), timeout=patience(100))
    kinds = [
        event["type"] for event in events if event["type"] == "candidate" or event.get("state") == "done"
    ]
    assert kinds == ["candidate"] * 3 + ["job"]
    came = [one for event in events if event["type"] == "candidate" for one in of(event)]
    final = of(state)
    assert "candidates" not in state and {event["of"] for event in events if "of" in event} == {3}
    assert [one.index for one in came] == [one.index for one in final] == [0, 1, 2]
    for early, late in zip(came, final, strict=True):
        assert (early.raster, early.seed, early.score) == (late.raster, late.seed, late.score)
        assert early.rank is None and late.rank is not None and early.score is not None
        assert early.thumbnail == late.thumbnail is not None
        shown = client.fetch(late.thumbnail.digest, size=late.thumbnail.size)
        assert shown[:3] == b"\xff\xd8\xff"
        assert len(client.fetch(late.raster.digest)) == late.raster.nbytes


def test_an_older_client_gets_none(server, client):
    with Raw(read_connection(server.state_dir)) as old:
        old.ask({"type": "hello", "protocol": "1.7", "client": "old", "session": old.session})
        job = submitted(client, variations=2)
        old.ask({"type": "watch", "jobs": [job]})
        old.wait_for(job, "done", timeout=patience(100))
        assert "candidate" not in {event["type"] for event, _ in old.events}


def test_a_cancelled_run_keeps_those_that_are_done_and_a_client_that_comes_back_finds_them(server, client):
    job, came = submitted(client, variations=8, parameters={"steps": 60}), []

    def enough():
        return bool(came)

    state = client.wait(
        job,
        on_event=lambda e, _: came.extend(of(e) if e["type"] == "candidate" else []),
        should_cancel=enough,
        timeout=patience(150),
    )
    assert state["state"] == "cancelled" and "result" not in state
    kept = of(state)
    assert 1 <= len(kept) < 8 and kept[: len(came)] == came
    with closing(Client(server.state_dir, name="another")) as another:
        another.connect()
        (found,) = another.watch([job])
        assert of(found) == kept
        assert len(another.fetch(kept[0].raster.digest)) == kept[0].raster.nbytes
        another.ack(job)
        assert of(another.get(job)) == kept


def test_the_models_words_are_told(client):
    words = client.vocabulary()
    assert all(3 <= len(word) <= 40 for word in words) and len(words) == len(set(words))
    with pytest.raises(VelaturaError, match="no model"):
        client.vocabulary("nobody")
