"""A package beside Velatura, in a real daemon: its methods and its kind of model; and one with faults."""

from __future__ import annotations

import json

import pytest

from tests.daemon.samples import new_job, request
from tests.daemon_fixture import Daemon
from tests.more_methods import environment
from tests.more_methods.velatura_examples import eigenpictures
from tests.patience import patience
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest

pytestmark = pytest.mark.timeout(120)
SIDE = 32
DATA = bytes(value for i in range(SIDE * SIDE) for value in (*[i % SIDE * 8] * 3, 255))


def client_of(daemon):
    client = Client(daemon.state_dir, name="test")
    client.connect()
    return client


@pytest.fixture(scope="module")
def daemon(tmp_path_factory, tiny_folder):
    """Has the package, and a model of its kind beside a diffusion model, which is the default."""
    state_dir = tmp_path_factory.mktemp("outside") / "state"
    eigen = eigenpictures.write(state_dir.parent / "eigen", SIDE)
    models = [("tiny", tiny_folder), ("eigen", eigen)]
    state_dir.mkdir()
    listed = [{"id": id, "title": id.title(), "path": str(folder)} for id, folder in models]
    (state_dir / "models.json").write_text(json.dumps(listed), "utf-8")
    with Daemon(state_dir, environment(), prestart=False) as running:
        yield running


@pytest.fixture
def client(daemon):
    client = client_of(daemon)
    yield client
    client.close()


def submitted(client, method, model, **changes):
    job = new_job()
    wanted = request(DATA, method=method, model={"id": model, "digest": ""}, parameters={}, **changes)
    client.submit(job, wanted, {digest(DATA): DATA})
    return job


def test_a_generator_that_is_no_diffusion_model_edits(client):
    state = client.wait(submitted(client, "exaggerate", "eigen", prompt=""), timeout=patience(100))
    assert state["state"] == "done", state
    (layer,) = state["result"]["layers"]
    assert layer["recipe"]["model"]["id"] == "eigen" and layer["recipe"]["method"] == "exaggerate"
    assert client.fetch(layer["raster"]["digest"], size=len(DATA)) != DATA


@pytest.mark.parametrize(
    ("method", "model", "sentence"),
    [
        ("sdedit", "eigen", "needs a diffusion model, and 'Eigen' is a model of eigenpictures"),
        ("exaggerate", "tiny", "needs a model of eigenpictures, and 'Tiny' is a diffusion model"),
    ],
)
def test_a_method_is_refused_with_another_kind_of_model_and_there_is_no_job(client, method, model, sentence):
    before = client.request({"type": "list"})["jobs"]
    with pytest.raises(VelaturaError, match=sentence) as refusal:
        submitted(client, method, model)
    assert refusal.value.code == "unknown-model"
    assert client.request({"type": "list"})["jobs"] == before


def test_a_client_is_told_what_goes_with_what(client):
    answer = client.methods()
    assert {"exaggerate", "shades", "weighed"} <= {method["id"] for method in answer["methods"]}
    models = {model["id"]: model for model in answer["models"]}
    assert (models["eigen"]["kind"], models["eigen"]["size"]) == ("eigenpictures", SIDE)
    assert "sdedit" in models["eigen"]["lacks"] and "exaggerate" not in models["eigen"]["lacks"]
    assert "exaggerate" in models["tiny"]["lacks"]


def test_a_package_that_cannot_be_used_is_told_in_the_log_and_the_daemon_runs(tmp_path, tiny_folder):
    from tests.tiny import register_tiny_model

    register_tiny_model(tmp_path / "state", tiny_folder)
    with Daemon(tmp_path / "state", environment("velatura_faulty"), prestart=False) as running:
        client = client_of(running)
        ids = [method["id"] for method in client.methods()["methods"]]
        client.close()
        assert ids.count("sdedit") == 1 and "gone" not in ids
        for what in ("method 'gone'", "method 'sdedit'", "kind of model 'nothing'"):
            assert f"The {what} of the package 'velatura-faulty' is left out" in running.log
