"""Methods that say something, over real sockets: who is told of them, what comes back, what a model lacks."""

from __future__ import annotations

import pytest

from tests.daemon.raw import Raw
from tests.daemon.samples import new_job, pixels, raster, request
from tests.daemon_fixture import Daemon
from tests.patience import patience
from tests.tiny import register_tiny_model, tiny_blip, tiny_clipseg
from velatura.generators.styles import STYLE
from velatura.methods.registry import registry
from velatura.models import catalogue
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest
from velatura_protocol.results import texts

pytestmark = pytest.mark.timeout(240)
DATA = pixels(seed=31)


@pytest.fixture(scope="module")
def telling(tmp_path_factory, tiny_folder):
    """A daemon with two models, of which the first has companions."""
    state_dir = tmp_path_factory.mktemp("texts") / "state"
    companions = {
        "captioner": str(tiny_blip(state_dir.parent / "blip")),
        "segmenter": str(tiny_clipseg(state_dir.parent / "clipseg")),
    }
    register_tiny_model(state_dir, tiny_folder, "plain")
    catalogue.add(state_dir, "whole", str(tiny_folder), companions=companions)
    with Daemon(state_dir, prestart=False) as running:
        yield running


@pytest.fixture
def client(telling):
    client = Client(telling.state_dir, name="test")
    client.connect()
    yield client
    client.close()


def describe(client, **changes):
    """The job that describes the layer, ended."""
    job = new_job()
    wanted = request(DATA, **{"method": "describe", "prompt": "", "parameters": {}, **changes})
    client.submit(job, wanted, {digest(DATA): DATA})
    return client.wait(job, timeout=patience(200))


def test_texts_come_back_and_a_draft_says_the_same(client):
    done = describe(client)
    assert done["state"] == "done", done
    assert done["title"] == "Describe the layer"
    assert done["result"].keys() == {"seconds", "layers", "texts"} and done["result"]["layers"] == []
    said = done["result"]["texts"]
    assert said and texts(done["result"]) == said
    again = describe(client, draft=True)
    assert again["result"]["texts"] == said


def test_a_draft_of_texts_is_like_any_other(telling, client):
    job = describe(client, draft=True)["job"]
    with Raw(telling.connection) as raw:
        assert job not in [known["job"] for known in raw.ask({"type": "list"})["jobs"]]
        assert raw.ask({"type": "get", "job": job})["result"]["texts"]


def test_texts_outlive_the_daemon(telling, client):
    done = describe(client)
    telling.restart()
    with Raw(telling.connection) as raw:
        assert raw.ask({"type": "get", "job": done["job"]})["result"] == done["result"]


@pytest.mark.parametrize(("version", "told"), [("1.0", False), ("1.2", False), ("1.3", True), ("1.10", True)])
def test_clients_that_do_not_know_texts_are_not_offered_any(telling, version, told):
    with Raw(telling.connection, hello=False) as raw:
        raw.ask({"type": "hello", "protocol": version, "client": "test", "session": ""})
        answer = raw.ask({"type": "methods"})
        assert ("text" in [method["result"] for method in answer["methods"]]) is told
        lacks = {model["id"]: model["lacks"] for model in answer["models"]}
        without = {
            id
            for id, method in registry().items()
            if method.needs == "clip" or method.generator == STYLE or method.trait
        }
        unknown = set() if version == "1.10" else {"editgan"}  # its picture of labels is younger
        assert set(lacks["whole"]) == without - unknown
        assert ("describe" in lacks["plain"]) is told
        assert ("clipseg-mask" in lacks["plain"]) is (version != "1.0")


@pytest.mark.parametrize(("method", "prompt"), [("describe", ""), ("clipseg-mask", "a hat")])
def test_a_request_for_what_a_model_lacks_is_no_job(client, method, prompt):
    with pytest.raises(VelaturaError, match="'Tiny' has no ") as refused:
        describe(client, method=method, prompt=prompt, model={"id": "plain", "digest": ""})
    assert (
        refused.value.code == "unknown-model" and "velatura models change plain --" in refused.value.message
    )


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"prompt": "a cat"}, "takes no prompt"),
        ({"variations": 2}, "at most 1"),
        (
            {"inputs": {"source": raster(DATA), "mask": {**raster(DATA, channels="A"), "profile": ""}}},
            "no selection",
        ),
    ],
)
def test_what_it_does_not_take_is_refused(client, changes, said):
    with pytest.raises(VelaturaError, match=said) as refused:
        describe(client, **changes)
    assert refused.value.code == "bad-request"


def test_what_is_named_is_selected(client):
    done = describe(client, method="clipseg-mask", prompt="the sky, a hat")
    assert done["state"] == "done", done
    layers = done["result"]["layers"]
    assert [(layer["title"], layer["kind"]) for layer in layers] == [("the sky", "mask"), ("a hat", "mask")]
    assert "texts" not in done["result"]


def test_previews_say_where_they_lie(telling, client):
    job, seen = new_job(), []
    source = {**raster(DATA), "rect": [5, -3, 32, 32]}
    wanted = request(DATA, inputs={"source": source, "mask": None}, draft=True)
    client.submit(job, wanted, {digest(DATA): DATA})
    client.wait(job, on_event=lambda event, _: seen.append(event), timeout=patience(200))
    rects = [event["rect"] for event in seen if event["type"] == "preview"]
    assert rects and all(rect == [5, -3, 32, 32] for rect in rects)
