"""What comes from models' files, from the journal and from odd requests never stops the daemon's answers."""

from __future__ import annotations

import json
import shutil
import sqlite3

import pytest

from tests.daemon.raw import Raw
from tests.daemon.samples import new_job, pixels, raster, request
from tests.daemon_fixture import Daemon, wait_for
from velatura_protocol.client import Client
from velatura_protocol.messages import MAX_JSON, digest
from velatura_protocol.results import MAX_LAYERS

pytestmark = pytest.mark.timeout(120)
DEEP = "[" * 100_000 + "]" * 100_000


@pytest.mark.parametrize(
    "config",
    [json.dumps({"block_out_channels": [64] * 60}), '{"block_out_channels": [1e999]}', DEEP, "{"],
    ids=["sixty levels", "infinite", "deep", "half"],
)
def test_a_model_folder_that_makes_no_sense(state_dir, no_torch, tiny_folder, tmp_path, config):
    spoilt = tmp_path / "spoilt"
    shutil.copytree(tiny_folder, spoilt)
    listed = json.loads((state_dir / "models.json").read_text())
    (state_dir / "models.json").write_text(json.dumps([*listed, {"id": "spoilt", "path": str(spoilt)}]))
    (spoilt / "vae" / "config.json").write_text(config)
    with Daemon(state_dir, no_torch, prestart=False) as daemon, Raw(daemon.connection) as raw:
        for _ in range(3):
            answer = raw.ask({"type": "methods"})
            assert answer["type"] == "methods", answer
            assert [model["id"] for model in answer["models"]] == ["tiny", "spoilt", "velatura-mini"]
            assert raw.ask({"type": "ping"})["type"] == "pong"
        wanted = request(model={"id": "spoilt", "digest": ""})
        refused = raw.ask({"type": "submit", "job": new_job(), "request": wanted})
        assert (refused["code"], "spoilt" in refused["message"]) == ("unknown-model", True)
        assert raw.ask({"type": "submit", "job": new_job(), "request": request()})["type"] == "job"


def test_the_most_models_that_can_be_named_fit_a_message(state_dir, no_torch):
    many = [{"id": f"{i:03}" + "m" * 77, "title": "\u753b" * 100, "path": "/gone"} for i in range(100)]
    (state_dir / "models.json").write_text(json.dumps(many))
    with Daemon(state_dir, no_torch, prestart=False) as daemon, Raw(daemon.connection) as raw:
        raw.ask({"type": "hello", "protocol": "1.3", "client": "test", "session": ""})
        answer = raw.ask({"type": "methods"})
        assert len(answer["models"]) == 101
        assert all("clipseg-mask" in model["lacks"] for model in answer["models"][:100])
        wait_for(lambda: len(raw.ask({"type": "ping"})["models"]) == 101, 30, "they are not told")


@pytest.fixture
def crowded(state_dir, no_torch):
    """A state directory with a done job that no message holds, as an older daemon noted it, and another."""
    with Daemon(state_dir, no_torch, prestart=False) as daemon, Raw(daemon.connection) as raw:
        jobs = [new_job(), new_job()]
        for job in jobs:
            assert raw.ask({"type": "submit", "job": job, "request": request()})["type"] == "job"
    layer = {"index": 0, "title": "x", "seed": 1, "raster": raster(pixels()), "recipe": {"x": "x" * 10_000}}
    results = [{"seconds": 1.0, "layers": [layer] * 37}, {"seconds": 1.0, "layers": [layer]}]
    with sqlite3.connect(state_dir / "jobs.sqlite") as db:
        for job, result in zip(jobs, results, strict=True):
            text = json.dumps(result)
            db.execute("UPDATE jobs SET state = 'done', result = ? WHERE id = ?", (text, job))
    db.close()
    assert len(json.dumps(results[0])) > MAX_JSON
    return state_dir, *jobs


def test_a_result_that_no_message_holds_fails_its_own_job_only(crowded, no_torch):
    state_dir, large, small = crowded
    for _ in range(2):  # it does not come again at each start
        with Daemon(state_dir, no_torch, prestart=False) as daemon, Raw(daemon.connection) as raw:
            told = raw.ask({"type": "get", "job": large})
            assert (told["state"], told["error"]["code"]) == ("failed", "too-large")
            watched = raw.ask({"type": "watch", "jobs": [large, small]})["jobs"]
            assert [job["state"] for job in watched] == ["failed", "done"]
            listed = raw.ask({"type": "list"})["jobs"]
            assert {job["job"]: job["state"] for job in listed} == {large: "failed", small: "done"}
            assert raw.ask({"type": "get", "job": small})["state"] == "done"
    with Daemon(state_dir, no_torch, prestart=False) as daemon, Raw(daemon.connection) as raw:
        assert raw.ask({"type": "ack", "job": large})["acknowledged"]


@pytest.fixture(scope="module")
def editing(tmp_path_factory, tiny_folder):
    from tests.tiny import register_tiny_model

    state_dir = tmp_path_factory.mktemp("bounded") / "state"
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir) as running:
        yield running


def select(client, prompt, entries):
    data, job = pixels(), new_job()
    wanted = request(data, method="word-map", prompt=prompt, parameters={"words": entries, "looks": 1})
    client.submit(job, wanted, {digest(data): data})
    return client.wait(job, timeout=100)


@pytest.mark.timeout(240)
def test_an_entry_of_white_space_does_not_make_a_result_that_no_message_holds(editing):
    """It counted as the one word to select, and the method ignored it: a mask of each of 37 words came."""
    with Raw(editing.connection) as raw:
        blank = [{"text": " " * 200}] * 64
        words = " ".join("abcdefghijklmnopqrstuvwxyzabcdefghijk")
        changes = {"method": "word-map", "prompt": words, "parameters": {"words": blank}}
        refused = raw.ask({"type": "submit", "job": new_job(), "request": request(**changes)})
        assert (refused["type"], refused["code"]) == ("error", "too-large")
        many = {**changes, "prompt": "a " * (MAX_LAYERS + 1), "parameters": {"words": blank[:1]}}
        refused = raw.ask({"type": "submit", "job": new_job(), "request": request(**many)})
        assert (refused["code"], str(MAX_LAYERS) in refused["message"]) == ("bad-request", True)
    client = Client(editing.state_dir, name="test")
    client.connect()
    done = select(client, words, blank[:1])
    assert (done["state"], len(done["result"]["layers"])) == ("done", 37)
    client.close()
