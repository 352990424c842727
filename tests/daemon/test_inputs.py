"""A third raster and a group whose entries have one, over real sockets: told of, checked, kept, used."""

from __future__ import annotations

import numpy as np
import pytest

from tests.daemon.raw import Raw
from tests.daemon.samples import new_job, raster, request
from tests.daemon_fixture import Daemon
from tests.more_methods import environment
from tests.patience import patience
from tests.tiny import register_tiny_model
from velatura.jobs.states import input_digests
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError
from velatura_protocol.inputs import rasters_of
from velatura_protocol.messages import digest

pytestmark = pytest.mark.timeout(120)

SIDE = 32
GREY = np.full((SIDE, SIDE, 4), (100, 100, 100, 255), np.uint8)
SEGMENTS = np.zeros((SIDE, SIDE, 4), np.uint8)
SEGMENTS[:, : SIDE // 2] = (200, 0, 0, 255)  # blue in BGRA, on the left half
SPOT = np.zeros((8, 8, 1), np.uint8) + 255


@pytest.fixture(scope="module")
def composing(tmp_path_factory, tiny_folder):
    """A daemon that has the method."""
    state_dir = tmp_path_factory.mktemp("inputs")
    register_tiny_model(state_dir, tiny_folder)
    with Daemon(state_dir, environment(), prestart=False) as running:
        yield running


@pytest.fixture
def client(composing):
    client = Client(composing.state_dir, name="test")
    client.connect()
    yield client
    client.close()


def described(pixels, channels, x=0, y=0, **more):
    height, width = pixels.shape[:2]
    data = pixels.tobytes()
    return raster(data, width, height, channels=channels) | {"rect": [x, y, width, height]} | more


def wanted(concepts=(), **inputs):
    """A request of the method, and its blobs."""
    given = {"segments": described(SEGMENTS, "BGRA", layer="My segments"), **inputs}
    given = {name: value for name, value in given.items() if value is not None}
    whole = request(
        GREY.tobytes(), method="arrange", prompt="", parameters={"concepts": list(concepts)}, seed=5
    )
    whole["inputs"] |= given
    blobs = {digest(p.tobytes()): p.tobytes() for p in (GREY, SEGMENTS, SPOT)}
    return whole, blobs


def refusal(client, *args, **inputs):
    whole, blobs = wanted(*args, **inputs)
    with pytest.raises(VelaturaError) as raised:
        client.submit(new_job(), whole, blobs)
    return raised.value.code, raised.value.message


def test_it_is_told_to_those_who_can_send_it(composing, client):
    (method,) = [m for m in client.methods()["methods"] if m["id"] == "arrange"]
    assert method["inputs"] == {"source": "required", "mask": "optional", "prompt": "optional"}
    assert [r["name"] for r in method["rasters"]] == ["source", "mask", "segments", "style"]
    assert [(r.title, r.kind, r.need) for r in rasters_of(method)] == [
        ("Segments", "labels", "required"),
        ("Style", "reference", "optional"),
    ]
    with Raw(composing.connection) as old:  # it says 1.0
        assert "arrange" not in [m["id"] for m in old.ask({"type": "methods"})["methods"]]


def test_every_raster_is_in_its_place(client):
    spot = described(SPOT, "A", x=SIDE - 8)
    whole, blobs = wanted([{"text": "light", "where": "concepts.1.where"}], **{"concepts.1.where": spot})
    job = new_job()
    client.submit(job, whole, blobs)
    state = client.wait(job, timeout=patience(100))
    assert state["state"] == "done", state
    (layer,) = state["result"]["layers"]
    recipe = layer["recipe"]
    assert {name: r and r["digest"] for name, r in recipe["inputs"].items()} == {
        "source": digest(GREY.tobytes()),
        "mask": None,
        "segments": digest(SEGMENTS.tobytes()),
        "concepts.1.where": digest(SPOT.tobytes()),
    }
    assert recipe["inputs"]["segments"]["layer"] == "My segments"
    assert recipe["parameters"]["concepts"] == [{"text": "light", "amount": 1.0, "where": "concepts.1.where"}]
    size = layer["raster"]["width"] * layer["raster"]["height"] * 4
    made = np.frombuffer(client.fetch(layer["raster"]["digest"], size=size), np.uint8).reshape(SIDE, SIDE, 4)
    inner = made[12:-4].astype(int)
    assert abs(inner[:, 2:12, :3] - (75, 75, 125)).max() <= 6  # three quarters grey, one quarter blue
    assert abs(inner[:, 20:-4, :3] - 100).max() <= 6
    assert (made[1:5, SIDE - 6 : SIDE - 2, :3] > 240).all()
    # run again from its recipe, while the blobs are there: nothing is uploaded
    again = new_job()
    answer = client.submit(again, {**recipe, "variations": 1}, {})
    assert answer["missing"] == []
    assert client.wait(again, timeout=patience(100))["result"]["layers"][0]["raster"] == layer["raster"]


def test_what_is_wrong_is_said_before_any_work(client):
    code, said = refusal(client, segments=None)
    assert (code, said) == ("bad-request", "“Arrange” needs “Segments”; choose a layer for it.")
    code, said = refusal(client, segments=described(SPOT, "A"))
    assert code == "bad-layer" and said.startswith("Segments needs colours")
    code, said = refusal(client, segments=described(SEGMENTS, "BGRA", x=5000))
    assert code == "mask-outside" and said.startswith("Segments does not touch")
    code, said = refusal(client, scribble=described(SPOT, "A"))
    assert code == "bad-request" and "no picture 'scribble'" in said
    code, said = refusal(client, [{"text": "a"}, {"text": "b", "where": "concepts.2.where"}])
    assert code == "bad-request" and said.startswith("Concepts 2, Where is missing")
    code, said = refusal(client, [{"where": "segments"}])
    assert code == "bad-request" and "cannot be the same as Segments" in said
    code, said = refusal(client, [{"where": 3}])
    assert (code, said) == ("bad-request", "Where: choose a layer or the selection.")
    far = described(SEGMENTS, "BGRA", x=5000)
    whole, blobs = wanted(style=far)  # a reference lies wherever it lies
    client.submit(job := new_job(), whole, blobs)
    assert client.wait(job, timeout=patience(100))["state"] == "done"


def test_an_empty_raster_fails_by_its_title(client):
    nothing = np.zeros((SIDE, SIDE, 4), np.uint8)
    whole, blobs = wanted(segments=described(nothing, "BGRA"))
    client.submit(job := new_job(), whole, blobs | {digest(nothing.tobytes()): nothing.tobytes()})
    error = client.wait(job, timeout=patience(100))["error"]
    assert error["code"] == "empty-layer" and error["message"].startswith("Segments has no paint")


def test_the_journal_holds_every_raster():
    whole, _ = wanted(style=described(SEGMENTS, "BGRA"), **{"concepts.1.where": described(SPOT, "A")})
    assert input_digests(whole) == [digest(p.tobytes()) for p in (GREY, SEGMENTS, SPOT)]
