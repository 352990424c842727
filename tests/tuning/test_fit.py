"""Adam is Adam, and a stopped fit goes on as if it had not been stopped."""

import pytest
import torch

from velatura.cache.values import pack, unpack
from velatura.tuning.fit import fit


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
        return fit([torch.zeros(5), torch.zeros(5)], residual, 1e-2, steps, begun, after_step)


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
        (x,) = fit([torch.ones(3)], overflows, 1e-2, 5, [], silent)
    assert torch.isfinite(x).all() and (x < 1.0).all()
