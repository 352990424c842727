"""A state directory from before protocol 1.5, as commit 607f76b left it, opened by today's daemon.

`state_before_1_5.json` was read out of a directory in which that commit's daemon had run each of its methods
on the tiny model, had refused an edit, and was killed while it had a cancelled job and one that waited. Its
rows and files are as they were written, but for the places of models, the model's digest (`{digest}`: it
depends on the installed libraries) and the bytes of the spool and of trajectories, which are compressed.
"""

from __future__ import annotations

import base64
import json
import sqlite3
import time
import zlib
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.daemon_fixture import Daemon
from tests.patience import patience
from tests.tiny import tiny_blip, tiny_clip, tiny_clipseg, tiny_model
from velatura.daemon.settings import load_settings
from velatura.methods.registry import registry
from velatura.models.catalogue import entries
from velatura.models.store import ModelStore
from velatura_protocol.client import Client

STATE = json.loads(Path(__file__).with_name("state_before_1_5.json").read_text(encoding="utf-8"))
JOBS = {job["id"]: job for job in STATE["jobs"]}
DONE = {job["request"]["method"]: job for job in STATE["jobs"] if job["state"] == "done"}
SPOOL = {f"blake2b:{name}": zlib.decompress(base64.b64decode(data)) for name, data in STATE["spool"].items()}

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@dataclass
class Opened:
    """The daemon of today on the old directory, a client of it, and the digest of the model there."""

    daemon: Daemon
    client: Client
    digest: str


@pytest.fixture(scope="module")
def opened(tmp_path_factory):
    base = tmp_path_factory.mktemp("older")
    digest = write_state(base)
    settings = dict(line.split(" = ") for line in STATE["settings.toml"].splitlines())
    settings = {key: json.loads(value) for key, value in settings.items()}
    with (
        Daemon(base / "state", **settings) as daemon,
        closing(Client(daemon.state_dir, name="new")) as client,
    ):
        client.connect()
        yield Opened(daemon, client, digest)


def write_state(base: Path) -> str:
    """The old directory in `base`/state, and beside it the models that it names; the tiny model's digest."""
    places = {"model": tiny_model(base / "model"), "clip": tiny_clip(base / "clip")}
    places |= {"blip": tiny_blip(base / "blip"), "clipseg": tiny_clipseg(base / "clipseg")}
    state = base / "state"
    for folder in ("spool/blobs", "trajectories"):
        (state / folder).mkdir(parents=True)
    state.chmod(0o700)
    (state / "settings.toml").write_text(STATE["settings.toml"], encoding="utf-8")
    models = json.dumps(STATE["models.json"], indent=1)
    for name, place in places.items():
        models = models.replace(f"{{{name}}}", str(place))
    (state / "models.json").write_text(models, encoding="utf-8")
    for folder, files in (("spool/blobs", STATE["spool"]), ("trajectories", STATE["trajectories"])):
        for name, data in files.items():
            (state / folder / name).write_bytes(zlib.decompress(base64.b64decode(data)))
    digest = ModelStore(entries(state)).get().digest
    write_journal(state / "jobs.sqlite", digest)
    return digest


def write_journal(path: Path, digest: str) -> None:
    """The journal, as if it had been written just now: results are not kept for ever."""
    since = time.time() - max(job["changed"] for job in STATE["jobs"])
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode = WAL")
        for sql in STATE["schema"]:
            db.execute(sql)
        db.execute(f"PRAGMA user_version = {STATE['user_version']}")
        for table in ("jobs", "blobs"):
            for row in STATE[table]:
                values = [json.dumps(v) if isinstance(v, dict) else v for v in row.values()]
                values = [v.replace("{digest}", digest) if isinstance(v, str) else v for v in values]
                times = [
                    v + since if key in ("created", "changed") else v
                    for key, v in zip(row, values, strict=True)
                ]
                marks = ", ".join("?" * len(times))
                db.execute(f"INSERT INTO {table} ({', '.join(row)}) VALUES ({marks})", times)
        db.commit()


def test_every_method_of_then_is_there_in_its_version():
    assert {"sdedit", "blended-latent-diffusion", "prompt-to-prompt", "describe"} < DONE.keys()
    assert {id: job["request"]["method_version"] for id, job in DONE.items()} == {
        id: registry()[id].version for id in DONE
    }


def test_its_settings_and_its_models_with_their_companions_load(tmp_path):
    write_state(tmp_path)
    assert load_settings(tmp_path / "state").waiting == 200
    model = entries(tmp_path / "state")[0]
    assert (model.id, model.title, model.fault, model.guidance) == ("tiny", "Tiny", "", 7.5)
    named = {"clip": "clip", "captioner": "blip", "segmenter": "clipseg"}
    assert model.companions == {name: str(tmp_path / folder) for name, folder in named.items()}


def test_its_jobs_are_listed_as_they_were(opened):
    for id, job in JOBS.items():
        seen = opened.client.get(id)
        assert seen["title"] == job["title"]
        if job["state"] != "queued":
            assert seen["state"] == job["state"]
            assert seen.get("error", {}).get("message") == (job["error"] or {}).get("message")
    assert "Traceback" not in opened.daemon.log


@pytest.mark.parametrize("method", DONE)
def test_its_results_can_be_fetched(opened, method):
    job = DONE[method]
    result = opened.client.get(job["id"])["result"]
    assert result.get("texts") == job["result"].get("texts")
    assert len(result["layers"]) == len(job["result"]["layers"]) > 0 or method == "describe"
    for layer in result["layers"]:
        assert bytes(opened.client.fetch(layer["raster"]["digest"])) == SPOOL[layer["raster"]["digest"]]


def test_the_edit_that_waited_is_made(opened):
    (waiting,) = (job["id"] for job in STATE["jobs"] if job["state"] == "queued")
    ended = opened.client.wait(waiting, timeout=patience(300))
    assert ended["state"] == "done", ended
    assert opened.client.fetch(ended["result"]["layers"][0]["raster"]["digest"])


@pytest.mark.parametrize("method", DONE)
def test_its_recipes_give_again_what_they_gave(opened, method):
    """From the recipe of each result: a host sends it as it stands, with the pixels it names.

    Other processors round otherwise, so a result may differ a little from the old one."""
    old = DONE[method]
    layers = opened.client.get(old["id"])["result"]["layers"]
    recipe = layers[0]["recipe"] if layers else old["request"]
    assert not layers or recipe["model"]["digest"] == opened.digest
    request = {key: recipe[key] for key in old["request"]}
    named = [raster["digest"] for raster in request["inputs"].values() if raster]
    again = old["id"][:-4] + "0000"
    opened.client.submit(again, request, {name: SPOOL[name] for name in named})
    ended = opened.client.wait(again, timeout=patience(300))
    assert ended["state"] == "done", ended
    assert ended["result"].get("texts") == old["result"].get("texts")
    results = ended["result"]["layers"]
    titles = [layer["title"].replace(" · best", "") for layer in layers]  # said of a result, not in its name
    assert [layer["title"] for layer in results] == titles
    for before, after in zip(layers, results, strict=True):
        assert after["raster"] | {"digest": ""} == before["raster"] | {"digest": ""}
        one = np.frombuffer(SPOOL[before["raster"]["digest"]], np.uint8).astype(float)
        other = np.frombuffer(bytes(opened.client.fetch(after["raster"]["digest"])), np.uint8)
        assert np.abs(one - other).mean() < 0.5
        assert after["recipe"].keys() >= before["recipe"].keys()
