"""Every rung of the ladder gives the same picture within its precision, and the first that fits is taken."""

from __future__ import annotations

import pytest
import torch

from tests.methods.requests import Edit, Recorded, picture
from tests.tiny import tiny_model
from velatura.daemon.settings import PLACEMENTS, load_settings
from velatura.methods.execute import execute
from velatura.models import placing
from velatura.models.catalogue import ModelEntry
from velatura.models.placing import AUTO, EIGHT_BITS, ENCODERS, OFFLOAD, WHOLE
from velatura.models.store import ModelStore
from velatura.weights import memory
from velatura.weights.precision import widen
from velatura_protocol.errors import VelaturaError

META, CPU = torch.device("meta"), torch.device("cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model(tmp_path_factory.mktemp("placing"))


def loaded(folder, rung, dtype=torch.float32):
    entry = ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64)
    return ModelStore([entry], dtype=dtype, placement=rung).diffusion()


def prediction(model):
    x = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    condition = model.encode_prompt("a hat")
    with torch.inference_mode():
        return model.network(x, 300.0, condition.expand(2))


@pytest.fixture(scope="module")
def exact(folder):
    return prediction(loaded(folder, WHOLE))


@pytest.mark.parametrize("rung", [AUTO, ENCODERS, OFFLOAD])
def test_weights_that_rest_elsewhere_give_the_same_bits(folder, exact, rung):
    model = loaded(folder, rung)
    assert torch.equal(prediction(model), exact)
    assert torch.equal(prediction(model), exact), "again"


def test_weights_in_8_bits_take_less_memory_and_give_nearly_the_same(folder, exact):
    whole, model = loaded(folder, WHOLE), loaded(folder, EIGHT_BITS)
    assert placing.nbytes(model.unet) == placing._in_8_bits(whole.unet) < 0.4 * placing.nbytes(whole.unet)
    error = (prediction(model) - exact).square().mean().sqrt() / exact.square().mean().sqrt()
    assert 0.0 < float(error) < 0.1
    assert model.unet.dtype == torch.float32, "it computes in it"


@pytest.mark.parametrize("rung", [ENCODERS, EIGHT_BITS, OFFLOAD])
def test_gradients_and_full_precision_work_on_every_rung(folder, exact, rung):
    model = loaded(folder, rung, torch.bfloat16)
    assert widen(model.unet)
    assert float((prediction(model) - exact).abs().max()) < 0.2
    x = torch.zeros(1, 4, 8, 8).requires_grad_()
    model.network(x, 300.0, model.encode_prompt("a hat").clone()).square().sum().backward()
    assert x.grad is not None and bool(x.grad.isfinite().all()) and float(x.grad.abs().max()) > 0.0


def test_resting_weights_are_on_the_device_during_their_calls_only():
    block = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)).requires_grad_(False)
    own = list(block.parameters())
    placing.rest(block, META)
    seen = []
    block[1].register_forward_hook(lambda module, *_: seen.append(module.weight.device.type))
    assert block(torch.zeros(1, 4, device=META)).device == META
    assert seen == ["meta"]
    with pytest.raises(RuntimeError):
        block(torch.zeros(1, 3, device=META))
    assert [id(p) for p in block.parameters()] == [id(p) for p in own]
    assert {p.device.type for p in own} == {"cpu"}


def test_the_settings_of_a_daemon_name_the_rungs(tmp_path):
    (tmp_path / "settings.toml").write_text('placement = "8-bit"\n')
    assert load_settings(tmp_path).placement == EIGHT_BITS
    (tmp_path / "settings.toml").write_text('placement = "attic"\n')
    with pytest.raises(VelaturaError, match="it has to be auto, whole, encoders, 8-bit, offload, quantised"):
        load_settings(tmp_path)
    assert placing.RUNGS == PLACEMENTS
    assert set(placing.REMARKS) == set(PLACEMENTS) - {"auto"}


def test_the_rung_is_told(folder):
    entry = ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64)
    edit = Edit(picture(), method="sdedit", prompt="a hat", parameters={"steps": 4})
    store = ModelStore([entry], placement=OFFLOAD)
    (layer,) = execute(edit.request, edit.blobs.__getitem__, store, Recorded())
    assert layer.note == placing.REMARKS[OFFLOAD]


def test_the_first_rung_that_fits_is_taken(folder, monkeypatch):
    model = loaded(folder, WHOLE)
    networks = dict(model.networks)
    sizes = {name: placing.nbytes(network) for name, network in networks.items()}
    networks["text_encoder_2"] = networks["text_encoder"]  # as large models have several
    both, d = sum(sizes.values()) + sizes["text_encoder"], sizes["unet"]
    one = both - sizes["text_encoder"]
    for need, rung in (
        (both, WHOLE),
        (one, ENCODERS),
        (one - d + placing._in_8_bits(networks["unet"]), EIGHT_BITS),
        (1, OFFLOAD),
    ):
        free = int(need / placing.WEIGHTS_SHARE) + 8
        monkeypatch.setattr(memory, "free", lambda device, free=free: free)
        assert placing._chosen(networks, "unet", torch.device("cuda")) == rung
