"""The transfer function: the standard's own numbers, for every library and depth that uses it."""

import numpy as np
import pytest
import torch

from velatura.pixels import srgb


def test_the_transfer_function_is_the_standards():
    # IEC 61966-2-1: 18 % grey, the end of the linear part, and the middle code
    assert srgb.encode(np.float32(0.18)) == pytest.approx(0.46136, abs=1e-5)
    assert srgb.encode(np.float32(0.0031308)) == pytest.approx(0.04045, abs=1e-5)
    assert srgb.decode(np.float32(128 / 255)) == pytest.approx(0.21586, abs=1e-5)
    assert srgb.encode(np.float32(1.0)) == pytest.approx(1.0, abs=1e-6)
    assert srgb.encode(np.float32(-0.18)) == -srgb.encode(np.float32(0.18))


@pytest.mark.parametrize("xp", [np, torch])
@pytest.mark.parametrize("kind", ["float32", "float64"])
def test_values_of_any_sign_and_size_come_back_in_their_own_type(xp, kind):
    values = np.linspace(-2.0, 5.0, 7001).astype(kind)
    given = values if xp is np else torch.from_numpy(values)
    back = srgb.decode(srgb.encode(given, xp), xp)
    assert back.dtype == given.dtype
    np.testing.assert_allclose(np.asarray(back), values, rtol=2e-5, atol=1e-7)


def test_torch_and_numpy_agree():
    values = np.linspace(-0.5, 1.5, 2001, dtype=np.float32)
    for function in (srgb.encode, srgb.decode):
        by_torch = function(torch.from_numpy(values), torch).numpy()
        np.testing.assert_allclose(by_torch, function(values), rtol=1e-6, atol=1e-7)
