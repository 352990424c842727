"""A kept slider: every client hears of it while it is connected, chooses it and edits with it."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from tests.daemon.raw import Raw
from tests.daemon.samples import new_job, raster, request
from tests.daemon_fixture import Daemon
from tests.patience import patience
from tests.tiny_styles import tiny_model, tiny_styles
from velatura.models import catalogue
from velatura.shelf import Dial, Shelf
from velatura.weights.digests import Digests, contents
from velatura_protocol.catalogue import Catalogue
from velatura_protocol.client import Client
from velatura_protocol.errors import VelaturaError

pytestmark = pytest.mark.timeout(300)
LAYER = np.random.default_rng(2).integers(0, 255, (8, 8, 4)).repeat(4, 0).repeat(4, 1).astype(np.uint8)
LAYER[..., 3] = 255


def choices(client):
    method = Catalogue.from_wire(client.methods()).method("face-dials")
    (group,) = (field for field in method.fields if field.key == "dials")
    (dial,) = (field for field in group.fields if field.key == "dial")
    return dict(dial.choices)


def until_offer(client):
    end = time.monotonic() + patience(30.0)
    while time.monotonic() < end:
        if any(event["type"] == "offer" for event, _ in client.events(0.2)):
            return
    raise AssertionError("no word of the new slider")


def ask(id, draft=False):
    dials = [{"dial": id, "amount": 80.0}]
    return request(
        LAYER.tobytes(),
        method="face-dials",
        prompt="",
        model={"id": "faces", "digest": ""},
        parameters={"place": "selection", "dials": dials},
        draft=draft,
    )


def run(client, wanted):
    job = new_job()
    previews = []
    client.submit(job, wanted, {raster(LAYER.tobytes())["digest"]: LAYER.tobytes()})
    ended = client.wait(
        job,
        on_event=lambda event, payload: previews.append(payload) if event["type"] == "preview" else None,
        timeout=patience(120.0),
    )
    assert ended["state"] == "done", ended
    return ended, previews


def test_a_kept_slider_is_offered_at_once_and_edits(tmp_path):
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    model = tiny_styles(tmp_path / "faces")
    catalogue.add(folder, "faces", str(model))
    with Daemon(folder) as daemon:
        client = Client(folder, name="test")
        client.connect()
        shipped = choices(client)
        assert shipped[""] == "(choose a slider)" and "Beard" in shipped.values()
        with Raw(daemon.connection) as old:
            shelf = Shelf(folder / "shelf")
            noise = torch.randn(3, 16, generator=torch.Generator().manual_seed(1))
            kept = shelf.keep(Dial("", "Dimples", "blake2b:of it", "vector", {"ws": noise[:1]}, {}))
            until_offer(client)
            old.ask({"type": "ping"})
            assert old.events == [], "an older client does not know the event"
        assert choices(client) == shipped | {kept: "Dimples"}

        with pytest.raises(VelaturaError, match="not kept any more"):
            client.submit(new_job(), ask("0" * 16), {})
        job = new_job()
        client.submit(job, ask(kept), {raster(LAYER.tobytes())["digest"]: LAYER.tobytes()})
        failed = client.wait(job, timeout=patience(120.0))
        assert "made for another model" in failed["error"]["message"]
        assert kept in choices(client), "it may be one of velatura-face, which has not been read yet"
        shelf.remove(kept)
        until_offer(client)
        assert choices(client) == shipped

        digest = known_digest(folder, model)
        tensors = {"ws": torch.randn(tiny_model().num_ws, 16, generator=torch.Generator().manual_seed(2))}
        own = shelf.keep(Dial("", "Hat", digest, "vector", tensors, {}))
        until_offer(client)
        titles = choices(client)
        assert set(titles) == {*shipped, own}
        assert titles[own] == "Hat (faces)" and "Hat (velatura-face)" in titles.values()
        ended, _ = run(client, ask(own))
        layer = ended["result"]["layers"][0]
        data = np.frombuffer(client.fetch(layer["raster"]["digest"]), np.uint8).reshape(32, 32, 4)
        assert np.abs(data[..., :3].astype(int) - LAYER[..., :3]).max() > 3
        assert layer["recipe"]["parameters"]["dials"] == [{"dial": own, "amount": 80.0}]
        _, previews = run(client, ask(own, draft=True))
        assert previews

        shelf.remove(own)
        until_offer(client)
        assert choices(client) == shipped
        client.close()


def known_digest(folder, model):
    """The digest of the model, which the worker has read."""
    return Digests(folder / "digests.json").known(*contents(model.resolve()))
