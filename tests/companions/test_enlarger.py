"""The enlarger: Velatura's own network in the compact layout, and files that it refuses."""

import builtins

import pytest
import torch
from safetensors.torch import save_file

from tests.tiny import tiny_model
from velatura.companions.compact import Compact
from velatura.companions.enlarger import Enlarger, load_enlarger
from velatura.models.catalogue import EMBEDDED_COMPANIONS, add, entries
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError

CPU = torch.device("cpu")


def compact(path, **sizes):
    torch.manual_seed(0)
    network = Compact(**{"features": 8, "convolutions": 2, "scale": 4} | sizes)
    save_file({name: value.contiguous() for name, value in network.state_dict().items()}, path)
    return network


def picture(height=9, width=14):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0)) * 2.0 - 1.0


@pytest.mark.parametrize("sizes", [{}, {"features": 6, "convolutions": 0, "scale": 2}])
def test_a_file_of_the_compact_layout_tells_its_own_sizes(tmp_path, sizes):
    network = compact(tmp_path / "x.safetensors", **sizes)
    found = load_enlarger(tmp_path / "x.safetensors", CPU, torch.float32)
    assert found.scale == network.scale
    expected = (network((picture() + 1.0) / 2.0) * 2.0 - 1.0).clamp(-1.0, 1.0)
    assert torch.equal(found.enlarge(picture()), expected)


def test_a_network_that_does_nothing_repeats_each_pixel():
    network = Compact(4, 1, 3)
    for parameter in network.parameters():
        parameter.data.zero_()
    x = (picture() + 1.0) / 2.0
    assert torch.equal(network(x), x.repeat_interleave(3, 2).repeat_interleave(3, 3))


def test_a_picture_of_any_size_is_filled_up_for_the_network_and_cut_again():
    seen = []

    def network(x):
        seen.append(tuple(x.shape[-2:]))
        return x.repeat_interleave(2, 2).repeat_interleave(2, 3)

    y = Enlarger(network, 2, 8, CPU, torch.float32).enlarge(picture())
    assert seen == [(16, 16)] and y.shape == (1, 3, 18, 28)
    torch.testing.assert_close(y[..., ::2, ::2], picture())


def test_the_embedded_models_have_velaturas_own(tmp_path):
    store = ModelStore(entries(tmp_path))
    store.get()
    assert store.entry().companions["enlarger"] == str(EMBEDDED_COMPANIONS["enlarger"])
    assert store.enlarger().scale == 4


def test_a_model_may_have_a_single_file(tmp_path):
    compact(tmp_path / "x.safetensors")
    model = tiny_model(tmp_path / "model")
    entry = add(tmp_path, "mine", str(model), companions={"enlarger": str(tmp_path / "x.safetensors")})
    assert entry.companions["enlarger"] == str((tmp_path / "x.safetensors").resolve())


@pytest.mark.parametrize("name", ["x.pth", "none.safetensors", "folder"])
def test_other_files_are_refused(tmp_path, name):
    (tmp_path / "x.pth").write_bytes(b"x")
    (tmp_path / "folder").mkdir()
    with pytest.raises(VelaturaError) as refused:
        load_enlarger(tmp_path / name, CPU, torch.float32)
    assert refused.value.code == "unknown-model" and ".safetensors" in refused.value.message


def test_a_broken_file_is_refused(tmp_path):
    (tmp_path / "x.safetensors").write_bytes(b"no weights")
    with pytest.raises(VelaturaError) as refused:
        load_enlarger(tmp_path / "x.safetensors", CPU, torch.float32)
    assert refused.value.code == "unknown-model" and "cannot be read" in refused.value.message


def test_other_networks_name_the_packages_that_they_need(tmp_path, monkeypatch):
    save_file({"conv_first.weight": torch.zeros(4, 3, 3, 3)}, tmp_path / "x.safetensors")
    importing = builtins.__import__

    def without(name, *more, **keywords):
        if name == "spandrel":
            raise ImportError(name)
        return importing(name, *more, **keywords)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(VelaturaError) as refused:
        load_enlarger(tmp_path / "x.safetensors", CPU, torch.float32)
    assert "spandrel" in refused.value.message


def test_spandrel_reads_the_compact_layout(tmp_path):
    spandrel = pytest.importorskip("spandrel")
    network = compact(tmp_path / "x.safetensors")
    found = spandrel.ModelLoader().load_from_state_dict(network.state_dict())
    assert found.scale == 4
    torch.testing.assert_close(found.model(picture()), network(picture()))
