"""Masks over real sockets: who is told of such methods, and what comes back."""

from __future__ import annotations

import pytest

from tests.daemon.raw import Raw
from tests.daemon.samples import new_job, pixels, raster, request
from tests.daemon_fixture import Daemon
from tests.more_methods import environment
from tests.patience import patience
from tests.tiny import register_tiny_model
from velatura_protocol.client import Client
from velatura_protocol.messages import PROTOCOL, digest
from velatura_protocol.results import best_first

pytestmark = pytest.mark.timeout(120)
DATA = bytes(value for i in range(32 * 32) for value in (*[i % 32 * 8] * 3, 255))


@pytest.fixture(scope="module")
def finding(tmp_path_factory, tiny_folder):
    """A daemon that has a method of masks."""
    state_dir = tmp_path_factory.mktemp("masks")
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir, environment(), prestart=False) as running:
        yield running


@pytest.fixture
def client(finding):
    client = Client(finding.state_dir, name="test")
    client.connect()
    yield client
    client.close()


def found(client, **changes):
    """The job that looks for words, ended."""
    job = new_job()
    changes = {"method": "shades", "prompt": "a cat", "parameters": {}, **changes}
    client.submit(job, request(DATA, **changes), {digest(DATA): DATA})
    return client.wait(job, timeout=patience(100))


def test_a_mask_comes_back_for_each_word(client):
    state = found(client)
    assert state["state"] == "done", state
    layers = state["result"]["layers"]
    assert best_first(layers) == layers
    assert [(layer["index"], layer["title"], layer["kind"]) for layer in layers] == [
        (0, "a", "mask"),
        (1, "cat", "mask"),
    ]
    for layer in layers:
        wanted = {**raster(DATA, channels="A"), "digest": layer["raster"]["digest"], "profile": ""}
        assert layer["raster"] == wanted
        assert "rank" not in layer and "kind" not in layer["recipe"]
        mask = client.fetch(layer["raster"]["digest"], size=32 * 32)
        assert mask[:32] == bytes(sorted(mask[:32])) and mask[0] < 20 < 220 < mask[31]
    again = dict(layers[1]["recipe"])
    assert [one["raster"] for one in found(client, **again)["result"]["layers"]] == [
        layer["raster"] for layer in layers
    ]


def test_pictures_have_no_kind(client):
    job, data = new_job(), pixels()
    client.submit(job, request(data), {digest(data): data})
    (layer,) = client.wait(job, timeout=patience(100))["result"]["layers"]
    assert "kind" not in layer


@pytest.mark.parametrize(
    ("version", "is_told"), [("1.0", False), ("1.1", False), ("1.2", True), ("1.10", True)]
)
def test_clients_that_do_not_know_masks_are_not_offered_any(finding, version, is_told):
    with Raw(finding.connection, hello=False) as raw:
        welcome = raw.ask({"type": "hello", "protocol": version, "client": "test", "session": ""})
        assert (welcome["type"], welcome["protocol"]) == ("welcome", PROTOCOL)
        offered = {method["id"]: method["result"] for method in raw.ask({"type": "methods"})["methods"]}
        assert offered["sdedit"] == "layer"
        assert offered.get("shades") == ("mask" if is_told else None)


def test_a_client_that_was_updated_is_told(finding):
    with Raw(finding.connection) as raw:
        hello = {"type": "hello", "protocol": "1.2", "client": "test", "session": raw.session}
        assert raw.ask(hello)["session"] == raw.session
        assert "shades" in [method["id"] for method in raw.ask({"type": "methods"})["methods"]]
