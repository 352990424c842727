"""Names by content."""

from dataclasses import dataclass

import pytest
import torch

from velatura.cache.keys import key, key_of
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import is_digest


def test_equal_content_has_one_name_whatever_the_order():
    a, b = torch.arange(6.0).reshape(2, 3), torch.arange(6.0).reshape(2, 3)
    assert key(z=a, prompt="a hat", seeds=[1]) == key(seeds=[1], prompt="a hat", z=b)
    assert is_digest(key(z=a))


@pytest.mark.parametrize(
    "other",
    [
        torch.arange(6.0).reshape(3, 2),
        torch.arange(6.0).reshape(2, 3).double(),
        torch.arange(6.0).reshape(2, 3) + 1e-6,
        [[0.0, 1.0, 2.0], [3.0, 4.0, 5.0]],
        None,
    ],
    ids=["shape", "dtype", "values", "a list", "none"],
)
def test_other_content_has_another(other):
    x = torch.arange(6.0).reshape(2, 3)
    assert key(z=x) != key(z=other)
    assert key(given=[x, {"c": x}]) != key(given=[x, {"c": other}])


def test_the_layout_in_memory_is_no_content():
    x = torch.randn(2, 3, 4, 5)
    assert key(x=x) == key(x=x.to(memory_format=torch.channels_last)) == key(x=x.flip(0).flip(0))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.bool, torch.int64])
def test_tensors_of_every_kind_have_names(dtype):
    assert key(x=torch.ones((), dtype=dtype)) != key(x=torch.zeros((), dtype=dtype))
    assert key(x=torch.ones(0, 3, dtype=dtype)) != key(x=torch.ones(3, 0, dtype=dtype))


def test_what_is_no_content_is_refused():
    with pytest.raises(VelaturaError, match="could not be written"):
        key(x=object())


@dataclass
class Network:
    digest: str = "blake2b:0"
    dtype: torch.dtype = torch.float32
    device: str = "cpu"


def test_another_network_dtype_or_kind_of_device_has_another():
    others = [
        Network(),
        Network(digest="blake2b:1"),
        Network(dtype=torch.float16),
        Network(device="cuda:0"),
    ]
    assert len({key_of(other, prompt="a hat") for other in others}) == 4
    assert key_of(Network(device="cuda:1")) == key_of(Network(device="cuda:0"))
