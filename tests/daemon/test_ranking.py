"""Ranked results over real sockets: what travels, and what recipes keep."""

from __future__ import annotations

import pytest

from tests.daemon.raw import Raw
from tests.daemon.samples import new_job, pixels, raster, request
from tests.daemon_fixture import Daemon
from tests.patience import patience
from tests.tiny import register_tiny_model
from velatura_protocol.client import Client
from velatura_protocol.messages import digest
from velatura_protocol.results import best_because, best_first

pytestmark = pytest.mark.timeout(120)
PARTS = ["asked", "seam"]
DATA = bytes(value for i in range(32 * 32) for value in (i % 256, 90, 255 - i % 256, 255))
MASK = bytes(255 if 8 <= i % 32 < 24 and 8 <= i // 32 < 24 else 0 for i in range(32 * 32))


@pytest.fixture(scope="module")
def ranking(tmp_path_factory, tiny_folder):
    state_dir = tmp_path_factory.mktemp("ranking")
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir, prestart=False) as running:
        yield running


@pytest.fixture
def client(ranking):
    client = Client(ranking.state_dir, name="test")
    client.connect()
    yield client
    client.close()


def edited(client, **changes):
    """The finished job of three variations within a mask, and the stages it went through."""
    job, stages = new_job(), []
    inputs = {"source": raster(DATA), "mask": raster(MASK, channels="A")}
    wanted = request(DATA, **{"variations": 3, "inputs": inputs, **changes})
    client.submit(job, wanted, {digest(DATA): DATA, digest(MASK): MASK})
    state = client.wait(job, on_event=lambda e, _: stages.append(e.get("stage")), timeout=patience(100))
    assert state["state"] == "done", state
    return state, stages


def test_each_result_has_its_place_and_its_recipe_keeps_it(client):
    state, stages = edited(client)
    layers = state["result"]["layers"]
    assert [layer["index"] for layer in layers] == [0, 1, 2]
    assert sorted(layer["rank"] for layer in layers) == [0, 1, 2]
    assert [layer["rank"] for layer in best_first(layers)] == [0, 1, 2]
    scores = [layer["score"] for layer in best_first(layers)]
    assert scores == sorted(scores, reverse=True)
    for layer in layers:
        assert list(layer["scores"]) == PARTS
        assert all(0.0 <= value <= 1.0 for value in (layer["score"], *layer["scores"].values()))
        assert {key: layer["recipe"][key] for key in ("rank", "score", "scores")} == {
            key: layer[key] for key in ("rank", "score", "scores")
        }
        assert layer.get("why", "") in layer["title"] and "why" not in layer["recipe"]
    assert best_because(layers) or layers[0]["score"] == layers[1]["score"]
    assert "note" not in state["result"]
    assert "Ranking" in stages


def test_a_recipe_with_its_place_runs_again_to_the_same_place(client):
    first = edited(client)[0]["result"]["layers"]
    recipe = dict(first[1]["recipe"])
    again = edited(client, **recipe)[0]["result"]["layers"]
    for one, other in zip(first, again, strict=True):
        assert {**one, "recipe": 0} == {**other, "recipe": 0}
        assert one["recipe"] == other["recipe"] | {"job": recipe["job"]}


def test_one_variation_has_no_place(client):
    (layer,) = edited(client, variations=1)[0]["result"]["layers"]
    assert not {"rank", "score", "scores"} & layer.keys() and "rank" not in layer["recipe"]


def test_a_job_survives_a_worker_that_dies_and_is_ranked_then(ranking, client):
    with Raw(ranking.connection) as raw:
        data, job = pixels(seed=3), new_job()
        raw.ask({"type": "submit", "job": job, "request": request(data, steps=60, variations=3)})
        raw.upload(data)
        raw.wait_for(job, "started")
        ranking.kill_worker()
        done = raw.wait_for(job, "done", "failed")
    assert (done["state"], done["attempts"]) == ("done", 2)
    assert sorted(layer["rank"] for layer in done["result"]["layers"]) == [0, 1, 2]
