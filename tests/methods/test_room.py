"""An edit that cannot fit is refused before it begins; one that fits in parts is made so, and says it."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from tests.methods.requests import Edit, Recorded, picture, pixels
from tests.tiny import tiny_model
from velatura.cache.cache import Cache
from velatura.methods import room
from velatura.methods.execute import execute
from velatura.methods.registry import registry
from velatura.models.catalogue import EMBEDDED_ID, EMBEDDED_PATH, ModelEntry
from velatura.models.footprint import footprint
from velatura.models.store import ModelStore
from velatura.weights import memory
from velatura_protocol.errors import VelaturaError


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp("room"))
    return ModelStore([ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64)])


def edited(store, hooks, **more):
    edit = Edit(picture(), method="sdedit", prompt="a hat", parameters={"steps": 4}, **more)
    return execute(edit.request, edit.blobs.__getitem__, store, hooks)


def rows_that_need_more_than_decoding(found):
    return next(n for n in range(1, 100) if found.row * room.ROWS * n > found.decode)


def test_a_variation_has_the_same_bytes_alone_as_among_others(store, monkeypatch):
    batches, method = [], registry()["sdedit"]
    run = type(method).run
    monkeypatch.setattr(
        type(method), "run", lambda self, i, *more: batches.append(len(i.seeds)) or run(self, i, *more)
    )
    several = edited(store, Recorded(), seed=7, variations=3)
    (alone,) = edited(store, Recorded(), seed=8, variations=1)
    assert batches == [1, 1, 1, 1]
    assert next(layer for layer in several if layer.seed == 8).data == alone.data


def test_variations_that_do_not_fit_at_once_are_made_in_batches_and_that_is_told(store, monkeypatch):
    model = store.get()
    found = footprint(model)
    most = rows_that_need_more_than_decoding(found)
    wanted = most + 2  # the first one is made alone
    monkeypatch.setattr("velatura.methods.run.makes_one_by_one", lambda model: False)  # as on a GPU
    if wanted > 8:
        pytest.fail("the tiny network has become too small for its decoder")
    whole = edited(store, Recorded(), variations=wanted)
    assert not any("Memory was short" in layer.note for layer in whole)
    monkeypatch.setattr(memory, "free", lambda device: found.needed(8, 8, room.ROWS * most))
    monkeypatch.setattr(Cache, "nbytes", 0)
    batches, method = [], registry()["sdedit"]
    run = type(method).run
    monkeypatch.setattr(
        type(method), "run", lambda self, i, *more: batches.append(len(i.seeds)) or run(self, i, *more)
    )
    parts = edited(store, Recorded(), variations=wanted)
    assert batches == [1, most, 1]
    assert all("made in smaller batches" in layer.note for layer in parts)
    for a, b in zip(whole, parts, strict=True):
        assert abs(pixels(a).astype(int) - pixels(b)).max() <= 1


def test_an_edit_that_cannot_fit_is_refused_before_its_first_step(store, monkeypatch):
    monkeypatch.setattr(memory, "free", lambda device: 1000)
    hooks = Recorded()
    with pytest.raises(VelaturaError, match=r"needs about \d+ MiB of memory and 0 MiB are free") as caught:
        edited(store, hooks)
    assert caught.value.code == "out-of-memory" and hooks.steps == []


def test_nothing_is_counted_where_there_is_plenty_or_nothing_is_known(store, monkeypatch):
    monkeypatch.setattr(room, "footprint", lambda model: pytest.fail("it was counted"))
    monkeypatch.setattr(memory, "free", lambda device: 2**40)
    assert room.most_at_once(store.get(), 64, 64, 8) == 8
    monkeypatch.setattr(memory, "free", lambda device: None)
    assert room.most_at_once(store.get(), 4096, 4096, 8) == 8


def test_a_picture_that_cannot_be_decoded_whole_is_decoded_in_tiles(monkeypatch):
    entry = ModelEntry(EMBEDDED_ID, "", "diffusers", str(EMBEDDED_PATH), 128)
    model = ModelStore([entry]).get()
    image = F.interpolate(torch.rand(1, 3, 12, 12), (640, 640), mode="bicubic").clamp(0, 1) * 2 - 1
    z = model.encode(image)
    whole, h, w = model.decode(z), *z.shape[-2:]
    there = footprint(model).needed(h, w, 0) - 1
    monkeypatch.setattr(memory, "free", lambda device: there)
    assert room.most_at_once(model, 640, 640, 1) == 1
    assert model._tile == model.latent_size
    tiled = model.decode(z)
    error = float((tiled - whole).abs().mean())
    assert 0.0 < error < 0.2 * float((whole - image).abs().mean()), "less than the autoencoder's own error"
    monkeypatch.setattr(memory, "free", lambda device: 2 * there)
    room.most_at_once(model, 640, 640, 1)
    assert not model._tile


def test_large_pictures_are_decoded_in_tiles_of_the_models_own_size(store):
    model = store.get()
    z = torch.randn(1, model.latent_channels, 12, 20, generator=torch.Generator().manual_seed(0))
    whole, sides = model.decode(z), []
    decode = model._decode
    model._decode = lambda tile: sides.append(tile.shape[-2:]) or decode(tile)
    try:
        assert model.tile_decoding(on=True) == model.latent_size == 8
        tiled = model.decode(z)
        assert set(sides) == {(8, 8)} and tiled.shape == whole.shape
        sides.clear()
        assert torch.equal(model.decode(z[..., :8, :8]), decode(z[..., :8, :8]).clamp(-1.0, 1.0))
        assert model.tile_decoding(on=False) == 0 and torch.equal(model.decode(z), whole)
    finally:
        del model._decode
        model.tile_decoding(on=False)
