"""What comes from models' files, from the journal and from odd requests never stops the daemon's answers."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import sys
from contextlib import closing

import pytest

from tests.daemon.raw import Raw
from tests.daemon.samples import new_job, pixels, raster, request
from tests.daemon_fixture import Daemon, wait_for
from tests.patience import patience
from velatura.daemon.broker.scheduler import Running, Scheduler
from velatura.daemon.outgoing import fits
from velatura.jobs.spool import Spool
from velatura.jobs.states import State
from velatura.jobs.store import Journal
from velatura.models.catalogue import EMBEDDED, MOST
from velatura_protocol.client import Client
from velatura_protocol.messages import MAX_JSON, digest
from velatura_protocol.results import MAX_LAYERS, MAX_TITLE

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
            assert [model["id"] for model in answer["models"]] == ["tiny", "spoilt", *EMBEDDED]
            assert raw.ask({"type": "ping"})["type"] == "pong"
        wanted = request(model={"id": "spoilt", "digest": ""})
        refused = raw.ask({"type": "submit", "job": new_job(), "request": wanted})
        assert (refused["code"], "spoilt" in refused["message"]) == ("unknown-model", True)
        assert raw.ask({"type": "submit", "job": new_job(), "request": request()})["type"] == "job"


def test_the_most_models_that_can_be_named_fit_a_message(state_dir, no_torch):
    many = [{"id": f"{i:03}" + "m" * 77, "title": "\u753b" * 100, "path": "/gone"} for i in range(MOST)]
    (state_dir / "models.json").write_text(json.dumps(many))
    with Daemon(state_dir, no_torch, prestart=False) as daemon, Raw(daemon.connection) as raw:
        raw.ask({"type": "hello", "protocol": "1.3", "client": "test", "session": ""})
        answer = raw.ask({"type": "methods"})
        assert len(answer["models"]) == MOST + len(EMBEDDED)
        assert all("clipseg-mask" in model["lacks"] for model in answer["models"][:MOST])
        whole = MOST + len(EMBEDDED)
        wait_for(lambda: len(raw.ask({"type": "ping"})["models"]) == whole, 30, "they are not told")


@pytest.fixture
def crowded(state_dir, no_torch):
    """A state directory with a done job that no message holds, as an older daemon noted it, and another."""
    with Daemon(state_dir, no_torch, prestart=False) as daemon, Raw(daemon.connection) as raw:
        jobs = [new_job(), new_job()]
        for job in jobs:
            assert raw.ask({"type": "submit", "job": job, "request": request()})["type"] == "job"
        raw.upload(pixels())  # the result's, too
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


FLOOD = """
from velatura.methods import fields
from velatura.methods.base import Inputs, Mask, Method, Parameters

class FloodParameters(Parameters):
    count: int = fields.whole(1, 1, 1000, "Count", "How many.")

class Flood(Method):
    id, version, title, summary, source = "flood", 1, "Flood", "Selects without end.", "a test"
    inputs = Inputs(source="required", mask="optional", prompt="required")
    result, max_variations, Parameters = "mask", 1, FloodParameters

    def run(self, inputs, params, context):
        return [Mask("long " * 400, inputs.image[0].mean(0).clamp(0.0, 1.0))] * params.count
"""
#: The method is a package's own, as pip leaves one.
INSTALLED = {
    "flood.py": FLOOD,
    "flood-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: flood\nVersion: 1.0\n",
    "flood-1.0.dist-info/entry_points.txt": "[velatura.methods]\nflood = flood\n",
}


@pytest.fixture(scope="module")
def editing(tmp_path_factory, tiny_folder):
    """A daemon with a method that makes as many masks as it is told, with long names."""
    from tests.tiny import register_tiny_model

    folder = tmp_path_factory.mktemp("bounded")
    for name, text in INSTALLED.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    register_tiny_model(folder / "state", tiny_folder)
    environment = {"PYTHONPATH": os.pathsep.join([str(folder), *sys.path])}
    with Daemon(folder / "state", environment) as running:
        yield running


@pytest.mark.timeout(240)
def test_a_method_that_finds_more_than_a_result_may_have_fails_its_own_job_only(editing):
    data, ended = pixels(seed=7), []
    with closing(Client(editing.state_dir, name="test")) as client:
        client.connect()
        for count in (MAX_LAYERS, MAX_LAYERS + 1):
            job, wanted = new_job(), request(data, method="flood", parameters={"count": count})
            client.submit(job, wanted, {digest(data): data})
            ended.append(client.wait(job, timeout=patience(100)))
    done, failed = ended
    assert (done["state"], len(done["result"]["layers"])) == ("done", MAX_LAYERS)
    assert {len(layer["title"]) for layer in done["result"]["layers"]} <= {MAX_TITLE, MAX_TITLE - 1}
    assert (failed["state"], failed["error"]["code"], failed["attempts"]) == ("failed", "too-large", 1)


def test_a_result_without_room_is_refused_before_it_is_noted(tmp_path):
    """The net below the bounds of requests: a worker that says more than a message holds."""
    journal, spool = Journal(tmp_path / "jobs.sqlite"), Spool(tmp_path / "spool")
    scheduler = Scheduler(
        journal,
        spool,
        None,
        changed=lambda job: None,
        lossy=lambda *_: None,
        arrived=lambda *_: None,
        cancel_grace=1.0,
        idle_unload=1.0,
    )
    layer = {"raster": raster(pixels()), "recipe": "x" * 10_000}
    spool.put(pixels())
    outcomes = {
        "too-large": {"state": "done", "result": {"layers": [layer] * 37}},
        "internal": {"state": "done", "result": {"layers": [{}]}},
        "busy": {"state": "failed", "error": {"code": "busy", "message": "x" * 10**6}},
    }
    for code, message in outcomes.items():
        job = new_job()
        journal.create(job, "", request(), "A title", state=State.QUEUED)
        noted = scheduler._outcome(Running(job, journal.start(job).attempts), message)
        assert (noted.state, noted.error["code"]) == (State.FAILED, code)
        assert fits(noted.to_wire([]))
    journal.close()


def select(client, prompt, entries):
    data, job = pixels(), new_job()
    wanted = request(data, method="word-map", prompt=prompt, parameters={"words": entries, "looks": 1})
    client.submit(job, wanted, {digest(data): data})
    return client.wait(job, timeout=patience(100))


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
    with closing(Client(editing.state_dir, name="test")) as client:
        client.connect()
        done = select(client, words, blank[:1])
    assert (done["state"], len(done["result"]["layers"])) == ("done", 37)
