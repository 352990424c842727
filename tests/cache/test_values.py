"""What may be kept on disk, and what is read again of it."""

from collections import OrderedDict
from dataclasses import dataclass, field
from typing import NamedTuple

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from velatura.cache.values import nbytes, pack, storable, unpack


class Branch(NamedTuple):
    q: torch.Tensor
    v: torch.Tensor | None


@dataclass
class Recorded:
    branches: dict = field(default_factory=dict)
    steps: int = 0


@storable("test: an embedding")
@dataclass(frozen=True)
class Embedding:
    tokens: torch.Tensor
    weights: dict
    steps: int = 0


def back(value, device="cpu"):
    return unpack("k", pack("k", value), device)


keys = st.one_of(st.text(max_size=5), st.integers(), st.booleans(), st.tuples(st.integers(), st.text()))
plain = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(st.characters(codec="utf-8"))
)


@given(
    st.recursive(
        plain,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.lists(inner, max_size=4).map(tuple),
            st.dictionaries(keys, inner, max_size=4),
        ),
        max_leaves=12,
    )
)
def test_what_is_written_is_what_is_read(value):
    again = back(value)
    assert again == value and repr(again) == repr(value)  # 1 is neither 1.0 nor True


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16, torch.bool, torch.int64])
def test_tensors_of_every_kind_come_back_bit_for_bit(dtype):
    x = torch.randn(3, 4, 5).transpose(0, 1).to(dtype)
    read = back([x, x[0], torch.zeros((), dtype=dtype), torch.ones(0, 3, dtype=dtype)])
    for ours, theirs in zip(read, [x, x[0], torch.zeros((), dtype=dtype), torch.ones(0, 3)], strict=True):
        assert ours.shape == theirs.shape and ours.dtype == dtype and ours.equal(theirs.to(dtype))


def test_a_dataclass_is_read_as_itself_with_weights_in_it():
    network = torch.nn.Linear(4, 3)
    read = back(Embedding(torch.ones(1, 4), network.state_dict(), steps=7))
    assert type(read) is Embedding and read.steps == 7 and read.tokens.equal(torch.ones(1, 4))
    other = torch.nn.Linear(4, 3)
    other.load_state_dict(read.weights)
    assert other(torch.ones(4)).equal(network(torch.ones(4)))


def test_an_optimiser_goes_on_from_what_was_written():
    def at(steps, weight, adam):
        for _ in range(steps):
            adam.zero_grad()
            (weight - 3.0).square().sum().backward()
            adam.step()
        return weight

    whole = torch.zeros(2, requires_grad=True)
    at(6, whole, torch.optim.Adam([whole], 0.1))
    half = torch.zeros(2, requires_grad=True)
    adam = torch.optim.Adam([half], 0.1)
    at(3, half, adam)
    read, state = back((half, adam.state_dict()))
    read.requires_grad_()
    again = torch.optim.Adam([read], 0.5)
    again.load_state_dict(state)
    assert at(3, read, again).equal(whole)


def test_what_is_read_in_inference_can_take_part_in_a_gradient():
    with torch.inference_mode():
        read = back(torch.ones(2))
    (read.requires_grad_() * 2.0).sum().backward()
    assert read.grad.tolist() == [2.0, 2.0]


def test_it_is_brought_to_the_device():
    assert back([torch.ones(2)], device="meta")[0].device.type == "meta"


@pytest.mark.parametrize(
    "value", [object(), {1, 2}, Branch(torch.ones(1), None), Recorded(), [torch.nn.Linear(1, 1)]]
)
def test_what_would_not_come_back_as_itself_is_refused(value):
    with pytest.raises(TypeError, match="cannot be written"):
        pack("k", value)


def test_a_name_belongs_to_one_dataclass():
    @dataclass
    class Another:
        x: int = 0

    with pytest.raises(TypeError, match="one name"):
        storable("test: an embedding")(Another)
    with pytest.raises(TypeError, match="not a dataclass"):
        storable("test: none")(OrderedDict)

    @dataclass
    class Computed:
        x: int = field(init=False, default=0)

    with pytest.raises(TypeError, match="all its fields"):
        storable("test: computed")(Computed)


def test_a_class_that_has_changed_since_is_no_value():
    data = pack("k", Embedding(torch.ones(1), {}))
    with pytest.raises(TypeError):
        unpack("k", rewritten(data, '"steps"', '"turns"'))
    with pytest.raises(KeyError):
        unpack("k", rewritten(data, "test: an embedding", "test: a forgotten."))


def rewritten(data, old, new):
    """A file with other words in its description, and the digest that belongs to them."""
    import json

    from velatura_protocol.messages import digest

    end = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:end])
    text = header["__metadata__"]["value"]
    assert old in text
    text = text.replace(old, new)
    header["__metadata__"] = {"value": text, "digest": digest(text.encode())}
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    return len(head).to_bytes(8, "little") + head + data[end:]


def test_dataclasses_and_tuples_count_as_what_they_hold():
    q = torch.zeros(10, 10)
    held = Recorded({(0, "a"): Branch(q, None), (1, "a"): Branch(q[:1], torch.zeros(3))}, steps=2)
    assert nbytes(held) == 400 + 12
