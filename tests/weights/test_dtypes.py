"""The dtype of a model's networks, by device, by network and by the person's choice."""

import pytest
import torch

from tests.tiny import register_tiny_model, tiny_model
from velatura.models.catalogue import ModelEntry, entries
from velatura.models.recognition import Found
from velatura.models.store import ModelStore
from velatura.weights import dtypes
from velatura.weights.dtypes import chosen, multiplies_bfloat16
from velatura_protocol.errors import VelaturaError


def test_a_processor_computes_in_float32():
    assert chosen("cpu") == chosen("cpu", transformer=True) == torch.float32


@pytest.mark.parametrize("multiplies", [True, False])
def test_transformers_take_bfloat16_where_the_device_has_it_and_unets_float16(monkeypatch, multiplies):
    monkeypatch.setattr(torch.xpu, "is_bf16_supported", lambda: multiplies)
    assert multiplies_bfloat16("xpu:0") is multiplies
    assert chosen("xpu:0") == torch.float16
    assert chosen("xpu:0", transformer=True) == (torch.bfloat16 if multiplies else torch.float16)


def test_the_persons_choice_comes_first():
    assert chosen("cpu", wanted="bf16") == chosen("cpu", wanted="bfloat16") == torch.bfloat16
    with pytest.raises(VelaturaError, match="choose float32, float16 or bfloat16"):
        chosen("cpu", wanted="int3")


def test_the_choice_in_the_list_of_models_is_followed(tmp_path):
    folder = tiny_model(tmp_path / "model")
    register_tiny_model(tmp_path, folder, dtype="bfloat16")
    model = ModelStore(lambda: entries(tmp_path)).get()
    assert model.dtype == torch.bfloat16
    assert {network.dtype for network in model.networks.values()} == {torch.bfloat16}
    register_tiny_model(tmp_path, folder, dtype="int3")
    with pytest.raises(VelaturaError, match="list of models cannot be read"):
        entries(tmp_path)


def test_a_store_knows_which_models_are_transformers(monkeypatch, tmp_path):
    monkeypatch.setattr(dtypes, "multiplies_bfloat16", lambda _: True)
    store = ModelStore([], device="meta")
    for family, dtype in (("sdxl", torch.float16), ("sd3", torch.bfloat16), ("qwen-image", torch.bfloat16)):
        found = Found(family, "file", tmp_path, 64)
        assert store.dtype_of(ModelEntry("m", "M", "file", "m", 64, found=found)) == dtype
