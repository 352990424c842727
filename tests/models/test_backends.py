"""Attention by other kernels gives the same, where they can; a call that is replaced does without them."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from diffusers.models.attention_dispatch import AttentionBackendName, _AttentionBackendRegistry
from torch.nn.attention import SDPBackend, _cur_sdpa_kernel_backends
from torch.overrides import TorchFunctionMode

from tests import tiny_flux1, tiny_z_image
from tests.tiny import tiny_model
from velatura.daemon.settings import KERNELS, load_settings
from velatura.models import backends
from velatura.models.catalogue import ModelEntry
from velatura.models.families.joint import positions
from velatura.models.families.joint_attention import Held
from velatura.models.recognition import recognise
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError


class Watch(TorchFunctionMode):
    """Notes the kernels that torch may take in each call of its attention."""

    def __init__(self):
        super().__init__()
        self.kernels = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func is F.scaled_dot_product_attention:
            self.kernels.append(tuple(_cur_sdpa_kernel_backends()))
        return func(*args, **(kwargs or {}))


MATH = (SDPBackend.MATH,)


@pytest.fixture
def flux():
    torch.manual_seed(0)
    network = tiny_flux1.transformer().eval()
    args = {
        "hidden_states": torch.randn(1, 6, 64),
        "encoder_hidden_states": torch.randn(1, 4, 128),
        "pooled_projections": torch.randn(1, 64),
        "timestep": torch.tensor([0.3]),
        "guidance": torch.tensor([3.5]),
        "img_ids": positions(2, 3),
        "txt_ids": torch.zeros(4, 3),
        "return_dict": False,
    }
    return network, Held(network, 1), args


@torch.no_grad()
def test_a_transformer_attends_by_the_kernels_that_are_set(flux):
    network, held, args = flux
    plain = network(**args)[0]
    backends.use(network, "math")
    with Watch() as watch:
        other = network(**args)[0]
    assert set(watch.kernels) == {MATH} and len(watch.kernels) == len(held.names)
    torch.testing.assert_close(other, plain, rtol=1e-5, atol=1e-5)
    assert _AttentionBackendRegistry.get_active_backend()[0] == AttentionBackendName.NATIVE, "for others"

    def attend(place, q, k, v):
        return F.scaled_dot_product_attention(q, k, v)

    with held.by(attend, (0, 4), (4, 10)), Watch() as watch:
        replaced = network(**args)[0]
    assert len(watch.kernels) == len(held.names) and MATH not in watch.kernels
    assert replaced.equal(plain)


@torch.no_grad()
def test_a_unet_attends_by_the_kernels_that_are_set(tmp_path):
    folder = tiny_model(tmp_path / "tiny")
    found = recognise(folder)
    entry = ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64, found=found)
    x = torch.randn(1, 4, 8, 8)
    results = {}
    for kernels in ("native", "math"):
        model = ModelStore([entry], attention=kernels).diffusion()
        with Watch() as watch:
            results[kernels] = model.predict(x, 300.0, model.encode_prompt("a hat"), None)
        assert (MATH in watch.kernels) is (kernels == "math")
    torch.testing.assert_close(results["math"], results["native"], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_kernels_that_cannot_compute_a_call_leave_it_to_torch(flux, caplog):
    """Flash's are not for processors, nor for every dtype, size of head and mask."""
    network, held, args = flux
    plain = network(**args)[0]
    for name in held.names:
        network.get_submodule(name).processor._attention_backend = AttentionBackendName.FLASH
    with caplog.at_level("INFO", logger="velatura.models.backends"):
        assert network(**args)[0].equal(plain)
    assert len(caplog.records) == len(held.names)
    assert network(**args)[0].equal(plain) and len(caplog.records) == len(held.names), "tried once"


def test_a_package_that_is_missing_is_named_before_a_model_is_read(tmp_path):
    entry = ModelEntry("gone", "Gone", "diffusers", str(tmp_path / "nowhere"), 64)
    with pytest.raises(VelaturaError, match="kernels 'sage' is missing; install it, or set attention to"):
        ModelStore([entry], attention="sage").get()


def test_settings_name_the_kernels(tmp_path):
    assert tuple(backends.KERNELS) == KERNELS
    assert not [name for name in backends.KERNELS.values() if name.endswith("_hub")], "they download code"
    (tmp_path / "settings.toml").write_text('attention = "sage"\n')
    assert load_settings(tmp_path).attention == "sage"
    (tmp_path / "settings.toml").write_text('attention = "sage_hub"\n')
    with pytest.raises(VelaturaError, match="it has to be native, cudnn, flex"):
        load_settings(tmp_path)


@torch.no_grad()
def test_masks_go_to_the_kernels_too():
    torch.manual_seed(1)
    network = tiny_z_image.z_image_transformer().eval()
    Held(network, 1, plain=("context_refiner",), own=("noise_refiner",))
    args = {
        "x": [torch.randn(16, 1, 4, 4) for _ in range(2)],
        "t": torch.tensor([0.3, 0.7]),
        "cap_feats": [torch.randn(5, 16), torch.randn(40, 16)],
        "return_dict": False,
    }
    plain = network(**args)[0]
    backends.use(network, "math")
    with Watch() as watch:
        other = network(**args)[0]
    assert MATH in watch.kernels
    for a, b in zip(other, plain, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
