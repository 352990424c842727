"""A model that does not fit is known before it is read, and its GGUF file is used where there is one."""

from __future__ import annotations

import dataclasses
import math
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file

from tests.methods.requests import Edit, Recorded, picture
from tests.models import flows
from tests.models import layouts as real
from tests.tiny_flux1 import tiny_flux1, tiny_flux1_files
from velatura.methods.execute import execute
from velatura.models import choosing, needs, placing, quantised
from velatura.models.catalogue import ModelEntry
from velatura.models.recognition import recognise
from velatura.models.store import ModelStore
from velatura.weights import memory
from velatura_protocol.errors import VelaturaError

pytestmark = pytest.mark.timeout(240)
GPU = torch.device("cuda")


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """A tiny FLUX.1 dev as files, and its GGUF file of 8 bits beside that of another model."""
    folder = tiny_flux1(tmp_path_factory.mktemp("folder"))
    shelf = tmp_path_factory.mktemp("shelf")
    path = tiny_flux1_files(folder, shelf)
    tensors = load_file(path)
    for name in ("flux1-dev-Q8_0", "mymodel-Q8_0"):
        flows.write_gguf(path.with_name(f"{name}.gguf"), tensors, "flux", quantised=True)
    return SimpleNamespace(path=path, folder=folder, shelf=shelf)


def entry(shelf, path):
    found = recognise(path, [shelf.shelf])
    assert found is not None and not found.missing
    parts = {**found.parts, "tokenizer": shelf.folder / "tokenizer"}
    found = dataclasses.replace(found, parts=parts, size=64)
    return ModelEntry(path.stem, path.stem, "file", str(path), 64, guidance=3.5, found=found)


@pytest.fixture
def entries(shelf):
    own = entry(shelf, shelf.path)
    return [own, *(entry(shelf, path) for path in sorted(shelf.path.parent.glob("*.gguf")))]


def room(monkeypatch, device, available=2**40, swap=0):
    monkeypatch.setattr(memory, "free", lambda _: device)
    monkeypatch.setattr(memory, "available", lambda: available)
    monkeypatch.setattr(memory, "swap", lambda: swap)


@pytest.mark.parametrize(
    ("own", "other", "same"),
    [
        ("flux1-dev.safetensors", "flux1-dev-Q4_K_S.gguf", True),
        ("flux1-dev-fp8-e4m3fn.safetensors", "FLUX1-Dev-BF16.gguf", True),
        ("z_image_turbo_bf16.safetensors", "z-image-turbo-Q5_0.gguf", True),
        ("models--black-forest-labs--FLUX.1-dev/snapshots/1", "flux1-dev-IQ4_XS.gguf", True),
        ("flux1-dev.safetensors", "flux1-schnell-Q8_0.gguf", False),
        ("flux1-dev.safetensors", "flux1-krea-dev-Q8_0.gguf", False),
    ],
)
def test_names_tell_files_of_one_model(tmp_path, own, other, same):
    (tmp_path / "models--black-forest-labs--FLUX.1-dev" / "snapshots" / "1").mkdir(parents=True)

    def stem(name):
        return quantised._stem(SimpleNamespace(path=tmp_path / name))

    assert (stem(own) == stem(other)) is same


def test_the_files_of_fewer_bits_are_of_the_same_model_and_kind(entries):
    own, eight, other = entries
    assert [one.id for one in quantised.siblings(own, entries)] == ["flux1-dev-Q8_0"]
    assert 8.0 < quantised.bits(eight.found) < 12.0  # the smallest matrices stay in 32 bits
    assert quantised.siblings(eight, entries) == [] == quantised.siblings(other, entries)
    unfit = dataclasses.replace(eight, found=dataclasses.replace(eight.found, traits=frozenset()))
    broken = dataclasses.replace(eight, fault="gone")
    lacking = dataclasses.replace(eight, found=dataclasses.replace(eight.found, missing=("vae",)))
    assert quantised.siblings(own, [own, unfit, broken, lacking]) == []


def test_the_memory_of_weights_is_that_of_the_loaded_networks(entries):
    own, eight, _ = entries
    for one, dtype in ((own, torch.float32), (own, torch.bfloat16), (eight, torch.float32)):
        name = str(dtype).removeprefix("torch.")
        counted = needs.needs(one.found, name)
        model = ModelStore([one], dtype=dtype).get()
        sizes = {part: placing.nbytes(network) for part, network in model.networks.items()}
        for part, size in sizes.items():
            assert counted[part].loaded == pytest.approx(size, rel=0.05), (part, name)
            stays = dtype == torch.float32 and (one is own or part != "transformer")
            assert counted[part].made == (0 if stays or one is eight else counted[part].loaded)


def test_the_rung_that_is_foreseen_is_the_one_that_is_taken(entries, monkeypatch):
    own = entries[0]
    parts = needs.needs(own.found, "bfloat16")
    model = ModelStore([own], dtype=torch.bfloat16).get()
    for share in (1.2, 0.8, 0.5, 0.2, 0.01):
        there = int(share * needs.total(parts).loaded / placing.WEIGHTS_SHARE)
        room(monkeypatch, there)
        foreseen = choosing._rung(own, GPU, torch.bfloat16)
        assert foreseen == placing._chosen(model.networks, model.denoiser, GPU)


def fitting(entries, monkeypatch, sizes, placement=placing.AUTO, **more):
    """The choice where the card holds these parts' bytes."""
    room(monkeypatch, int(sum(sizes) / placing.WEIGHTS_SHARE) + 2**12, **more)
    found = choosing.choices(entries[0], entries, placement)
    return choosing.chosen(found, GPU, lambda _: torch.float32, placement)


def test_the_ladder_takes_a_file_of_fewer_bits_in_its_place(entries, monkeypatch):
    own, eight, _ = entries
    whole = needs.needs(own.found, "float32")
    packed = needs.needs(eight.found, "float32")
    others = [need.loaded for name, need in whole.items() if name != "transformer"]
    assert fitting(entries, monkeypatch, [whole["transformer"].loaded, *others]).entry == own
    fewer = fitting(entries, monkeypatch, [packed["transformer"].loaded, *others])
    assert (fewer.rung, fewer.entry.found, fewer.entry.id) == (placing.QUANTISED, eight.found, own.id)
    assert fitting(entries, monkeypatch, [1]).entry == own, "neither fits, so the model itself rests"
    room_for_all = [whole["transformer"].loaded, *others]
    assert fitting(entries, monkeypatch, room_for_all, placing.QUANTISED).rung == placing.QUANTISED
    assert fitting(entries, monkeypatch, [1], placing.EIGHT_BITS).entry == own


@pytest.mark.parametrize("bits", [8.5, 4.5])
def test_eight_bits_of_the_model_come_between_large_and_small_files(entries, monkeypatch, bits):
    monkeypatch.setattr(quantised, "bits", lambda _: bits)
    own, eight, _ = entries
    choice = choosing.Choice(eight, placing.QUANTISED)
    fits = choosing._rank(choice, placing.WHOLE, placing.AUTO)
    itself = [choosing._rank(choosing.Choice(own), rung, placing.AUTO) for rung in placing.PLACED]
    assert itself == sorted(itself)
    assert (itself[1] < fits < itself[2]) if bits > 8 else (itself[2] < fits < itself[3])


def test_a_model_that_the_machine_cannot_hold_is_refused_before_it_is_read(shelf, monkeypatch):
    own = entry(shelf, shelf.path)
    store = ModelStore([own], dtype=torch.bfloat16)
    made = needs.total(needs.needs(own.found, "bfloat16")).made
    assert made > 0
    room(monkeypatch, None, available=made // 2)
    with pytest.raises(
        VelaturaError, match=r"'flux1-dev' takes .* MiB of the computer's memory and"
    ) as refused:
        store.get()
    assert refused.value.code == "out-of-memory" and store.loaded() == ""
    room(monkeypatch, None, available=made // 2, swap=made - made // 2)
    assert store.get().id == "flux1-dev"
    room(monkeypatch, None, available=1)
    assert ModelStore([own], dtype=torch.float32).get().id == "flux1-dev", "they stay in the file"


def test_the_slow_way_is_told(shelf, monkeypatch):
    own = entry(shelf, shelf.path)
    room(monkeypatch, None, available=2**20, swap=2**40)
    store = ModelStore([own], dtype=torch.float32)
    store.get()
    assert "free, which is slow; close other programs" in store.shortage
    store.unload()
    room(monkeypatch, None)
    store.get()
    assert store.shortage == ""


def test_an_edit_tells_the_file_that_was_used_and_is_made_again_with_it(entries, monkeypatch):
    """Also where there is memory for the model itself by then."""
    store = ModelStore(entries, dtype=torch.float32, placement=placing.QUANTISED)
    parameters = {"steps": 4, "guidance": 3.5}
    edit = Edit(
        picture(),
        method="sdedit",
        prompt="a red hat",
        parameters=parameters,
        model={"id": "flux1-dev", "digest": ""},
    )
    (layer,) = execute(edit.request, edit.blobs.__getitem__, store, Recorded())
    assert placing.REMARKS[placing.QUANTISED] in layer.note
    plenty = ModelStore(entries, dtype=torch.float32)
    assert plenty.get("flux1-dev").digest != layer.recipe["model"]["digest"]
    again = edit.request | {"model": layer.recipe["model"]}
    (same,) = execute(again, edit.blobs.__getitem__, plenty, Recorded())
    assert same.data == layer.data
    (own,) = execute(
        edit.request, edit.blobs.__getitem__, ModelStore(entries, dtype=torch.float32), Recorded()
    )
    assert own.data != layer.data and "GGUF" not in own.note
    gone = again | {"model": {"id": "flux1-dev", "digest": "blake2b:" + "0" * 64}}
    with pytest.raises(VelaturaError, match="are not those this was made with"):
        execute(gone, edit.blobs.__getitem__, plenty, Recorded())


def test_weights_that_are_converted_take_memory_and_quantised_ones_stay(tmp_path):
    """Of files in FLUX.1's real layout."""
    shapes = real.flux1()
    values = sum(math.prod(shape) for shape in shapes.values())
    path = real.write(tmp_path / "flux1-dev.safetensors", shapes, "BF16")
    packed = real.write_gguf(tmp_path / "flux1-dev-Q4_K_S.gguf", shapes, {"general.architecture": "flux"})
    found = SimpleNamespace(parts={"transformer": path})
    assert needs.needs(found, "bfloat16")["transformer"] == (2 * values, 0)
    assert needs.needs(found, "float32")["transformer"] == (4 * values, 4 * values)
    found = SimpleNamespace(parts={"transformer": packed})
    loaded, made = needs.needs(found, "bfloat16")["transformer"]
    assert (loaded, made) == (pytest.approx(values * 4.5 / 8, rel=0.02), 0)
    assert quantised.bits(found) == pytest.approx(4.5, rel=0.02)
