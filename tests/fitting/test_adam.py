"""Adam is Adam, and a stopped fit goes on as if it had not been stopped."""

import pytest
import torch

from velatura.cache.values import pack, unpack
from velatura.fitting.adam import fit, gradients_of, gradients_of_square


def normal(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def silent(i, n):
    pass


def residual(i, values):
    """Of a linear map whose input is another in each step. Both values begin equal."""
    a, b = values
    return normal(6, 5, seed=i) @ (a + 2.0 * b) - 1.0


def fitted(begun, after_step=silent, steps=7):
    with torch.inference_mode(False), torch.no_grad():
        start = [torch.zeros(5), torch.zeros(5)]
        after = lambda i, x: after_step(i, steps)  # noqa: E731
        return fit(start, gradients_of_square(residual), 1e-2, steps, begun, after)


def test_a_fit_is_adam_on_the_mean_square():
    rate, b1, b2 = 1e-2, 0.9, 0.999
    x = [torch.zeros(5), torch.zeros(5)]
    m, v = [torch.zeros(5)] * 2, [torch.zeros(5)] * 2
    for i in range(7):
        M = normal(6, 5, seed=i)
        r = M @ (x[0] + 2.0 * x[1]) - 1.0
        g = [factor * 2.0 * M.T @ r / len(r) for factor in (1.0, 2.0)]
        m = [b1 * m[k] + (1.0 - b1) * g[k] for k in (0, 1)]
        v = [b2 * v[k] + (1.0 - b2) * g[k] ** 2 for k in (0, 1)]
        hats = [(m[k] / (1.0 - b1 ** (i + 1)), v[k] / (1.0 - b2 ** (i + 1))) for k in (0, 1)]
        x = [x[k] - rate * hats[k][0] / (hats[k][1].sqrt() + 1e-8) for k in (0, 1)]
    torch.testing.assert_close(fitted([]), x)


@pytest.mark.parametrize("on_disk", [False, True])
@pytest.mark.parametrize("after", [1, 3])
def test_a_stopped_fit_resumes_to_the_same_bytes(after, on_disk):
    """Equal tensors of a file are one tensor in memory: at first the moments of both values are."""
    whole, begun, steps = fitted([]), [], []

    def stop(i, n):
        steps.append((i, n))
        if i == after:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fitted(begun, stop)
    if on_disk:
        begun = unpack("k", pack("k", begun))
    again = fitted(begun, lambda i, n: steps.append((i, n)))
    assert steps == [(i, 7) for i in range(1, 8)]
    assert all(torch.equal(a, b) for a, b in zip(again, whole, strict=True))


def test_an_overflow_costs_one_step_and_not_the_fit():
    def overflows(i, values):
        return values[0] * (float("inf") if i == 1 else 1.0)

    with torch.inference_mode(False), torch.no_grad():
        (x,) = fit([torch.ones(3)], gradients_of_square(overflows), 1e-2, 5, [], silent)
    assert torch.isfinite(x).all() and (x < 1.0).all()


def test_the_rate_may_fall_and_values_stay_within_their_range():
    """Against torch's own Adam, whose rate and values are set by hand."""

    def loss(i, x):
        return ((x[0] - 2.0) * normal(5, seed=i)).square().sum()

    def within(x):
        x[0].clamp_(max=0.05)

    rate = lambda i: 0.04 / (1.0 + i)  # noqa: E731
    seen = []
    start = torch.zeros(5)
    (x,) = fit(
        [start], gradients_of(loss), rate, 4, [], lambda i, x: seen.append(x[0].clone()), within=within
    )
    y = torch.zeros(5, requires_grad=True)
    adam = torch.optim.Adam([y])
    for i in range(4):
        adam.zero_grad()
        loss(i, [y]).backward()
        adam.param_groups[0]["lr"] = rate(i)
        adam.step()
        with torch.no_grad():
            y.clamp_(max=0.05)
    torch.testing.assert_close(x, y.detach())
    assert x.max() == torch.tensor(0.05) and len(seen) == 4 and torch.equal(seen[-1], x)
    assert torch.equal(start, torch.zeros(5)), "the start is not written to"


def test_a_fit_in_inference_mode_gives_tensors_that_can_take_a_gradient():
    with torch.inference_mode():
        start = torch.zeros(3)
        (x,) = fit([start], gradients_of(lambda i, x: (x[0] - 1.0).square().sum()), 0.1, 2, [], silent)
    x.requires_grad_().sum().backward()
    assert torch.equal(x.grad, torch.ones(3))


def test_a_state_of_another_kind_starts_anew():
    """An older version left it in the folder of kept values."""
    again = fitted([{"steps": 3, "values": {}, "moments": []}])
    assert all(torch.equal(a, b) for a, b in zip(again, fitted([]), strict=True))
