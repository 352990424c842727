"""What an edit needs is known before it runs: counted on meta tensors at one size, right for all."""

import pytest
import torch

from tests.tiny import tiny_model
from velatura.models.catalogue import ModelEntry
from velatura.models.footprint import footprint, weights
from velatura.models.store import ModelStore
from velatura.weights.counting import counted


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tiny_model(tmp_path_factory.mktemp("footprint"))
    return ModelStore([ModelEntry("tiny", "Tiny", "diffusers", str(folder), 64)]).get()


def test_one_count_says_the_allocations_of_other_sizes_and_batches(model):
    found, condition = footprint(model), model.encode_prompt("a hat")
    assert footprint(model) is found
    for rows, height, width in ((3, 16, 16), (2, 32, 16)):
        x = torch.zeros(rows, 4, height, width)
        pass_ = counted(lambda x=x: model.predict(x, 0.5, condition.expand(len(x)).clone(), None))
        assert pass_ == pytest.approx(found.row * rows * height * width, rel=0.15)
    decode = counted(lambda: model.decode_unchecked(torch.zeros(1, 4, 32, 32)))
    assert decode == pytest.approx(found.decode * 32 * 32, rel=0.15)
    assert found.needed(32, 32, 1) >= decode
    assert found.needed(16, 16, 64) == pytest.approx(64 * found.row * 256 * 1.15, abs=1.0)


def test_weights_are_those_of_all_networks(model):
    assert weights(model) == 4 * sum(p.numel() for n in model.networks.values() for p in n.parameters())


def test_a_network_that_looks_at_values_is_left_uncounted(model, monkeypatch):
    monkeypatch.setattr("velatura.models.footprint._KNOWN", {})
    monkeypatch.setattr(
        type(model), "predict", lambda self, x, *_: x if float(x.sum()) else torch.zeros_like(x)
    )
    assert footprint(model) is None
