"""No NaN leaves a network: an overflow in half precision is computed in float32, else a sentence says so."""

import pytest
import torch
from torch import nn

from velatura.weights.precision import Overflow, check_finite, checked, is_finite, watch, widen
from velatura_protocol.errors import VelaturaError


def overflowing(dtype=torch.float16):
    """A network whose middle values exceed float16 and whose result does not."""
    network = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    with torch.no_grad():
        network[0].weight.fill_(3e4)
        network[1].weight.fill_(1e-5)
    return network.to(dtype).requires_grad_(False)


def call(network):
    return lambda: network(torch.ones(2, 4, dtype=torch.float16)).float()


def test_an_overflow_is_computed_again_and_the_network_stays_in_float32():
    network = overflowing()
    assert not is_finite(call(network)())
    found = checked(call(network), [network], "the model")
    torch.testing.assert_close(found, torch.full((2, 4), 4.8), rtol=1e-2, atol=0.0)
    assert {w.dtype for w in network.parameters()} == {torch.float32}
    assert torch.equal(call(network)(), found), "inputs of the old dtype are still taken"
    assert not widen(network), "there is nothing more to gain"


def test_weights_that_are_widened_in_inference_mode_can_take_part_in_gradients():
    network = overflowing()
    with torch.inference_mode():
        checked(call(network), [network], "the model")
    x = torch.ones(2, 4, requires_grad=True)
    network(x).sum().backward()
    assert x.grad is not None and bool(x.grad.isfinite().all())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_named(value):
    network = overflowing(torch.float32)
    with torch.no_grad():
        network[1].weight[0, 0] = value
    with pytest.raises(VelaturaError, match="The weights of the model hold values that are no numbers"):
        checked(call(widened(network)), [network], "the model")


def widened(network):
    return nn.Sequential(nn.Identity(), network).float() if widen(network) else _Float(network)


class _Float(nn.Module):
    def __init__(self, network):
        super().__init__()
        self.network = network

    def forward(self, x):
        return self.network(x.float())


def test_a_network_that_float32_does_not_help_either_is_named():
    network = overflowing()
    with pytest.raises(VelaturaError, match="in full precision too; choose another model"):
        checked(lambda: torch.tensor([float("nan")]), [network], "the model")


def test_values_that_were_no_numbers_before_are_not_the_networks_fault():
    network = overflowing()
    x = torch.tensor([float("inf")])
    with pytest.raises(VelaturaError, match="make its settings weaker"):
        checked(lambda: x, [network], "the model", {"x": [x]})
    assert network[0].weight.dtype == torch.float16
    with pytest.raises(VelaturaError, match="make its settings weaker"):
        check_finite((torch.zeros(1), x))


def test_a_watched_network_is_called_again_wherever_it_is_called():
    network = overflowing()
    watch(network, "the CLIP")
    torch.testing.assert_close(call(network)(), torch.full((2, 4), 4.8), rtol=1e-2, atol=0.0)
    part = overflowing()
    watch(part, "the CLIP")
    x = part[0](torch.ones(2, 4, dtype=torch.float16))
    assert x.dtype == torch.float32 and float(x[0, 0]) == pytest.approx(1.2e5, rel=1e-2)


def test_an_error_within_a_watched_call_leaves_the_watch_intact():
    network = overflowing()
    watch(network, "the CLIP")
    with pytest.raises(RuntimeError, match="shapes"):
        network(torch.ones(2, 3, dtype=torch.float16))
    assert is_finite(call(network)())


def test_a_call_that_cannot_be_repeated_by_itself_says_so():
    network = overflowing()
    watch(network, "the captioner", repeat=False)
    with pytest.raises(Overflow):
        call(network)()
    assert is_finite(call(network)())
