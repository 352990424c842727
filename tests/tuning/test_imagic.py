"""Imagic's two fits lower the paper's loss, and its interpolation is eq. 3."""

import math

import pytest
import torch

from velatura.cache.values import pack, unpack
from velatura.diffusion.denoiser import denoise
from velatura.tuning import imagic

TEXT, LAYER = imagic.Fit(12, 2e-2), imagic.Fit(12, 5e-3)


def silent(i, n):
    pass


def loss(source, c):
    """Of eq. 2, over the draws of the fits."""
    draws = [imagic.residual(source.model, source.z0, c, imagic.SEED + i) for i in range(12)]
    return float(torch.stack(draws).square().mean())


def embedding(source, begun=None, after_step=silent):
    begun = [] if begun is None else begun
    return imagic.optimised_embedding(source.model, source.z0, source.c, TEXT, begun, after_step)


def network(source, c_opt, begun=None, after_step=silent):
    begun = [] if begun is None else begun
    return imagic.fine_tuned(source.model, source.z0, c_opt, 4, LAYER, begun, after_step)


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction", "sample"])
def test_the_residual_is_that_of_the_networks_own_prediction(source, prediction):
    """It is 0 for the network of a perfect D: there D - z0, which is c_out times it, is 0."""
    layer = source(prediction)
    model, z0 = layer.model, layer.z0
    for seed in range(4):
        generator = torch.Generator().manual_seed(seed)
        t = int(torch.randint(1000, (), generator=generator))
        n = torch.randn(z0.shape, generator=generator)
        sigma = float(model.training_sigmas[t])
        c_out = {"epsilon": -sigma, "v_prediction": -sigma / math.sqrt(sigma**2 + 1.0), "sample": 1.0}
        expected = (denoise(model, z0 + sigma * n, sigma, layer.c) - z0) / c_out[prediction]
        found = imagic.residual(model, z0, layer.c, seed)
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-3)


def test_both_fits_lower_the_loss_and_leave_the_model_as_it_is(source):
    layer = source("v_prediction")
    plain = loss(layer, layer.c)
    c_opt = embedding(layer)
    with_text = loss(layer, c_opt)
    assert with_text < plain and loss(layer, layer.c) == plain
    lora = network(layer, c_opt)
    with layer.model.adapted(lora):
        assert loss(layer, c_opt) < with_text
    assert loss(layer, c_opt) == with_text and loss(layer, layer.c) == plain


@pytest.mark.parametrize("on_disk", [False, True])
def test_each_fit_resumes_to_the_same_bytes(source, on_disk):
    layer = source("v_prediction")
    c_opt = embedding(layer)
    lora = network(layer, c_opt)

    def stop(i, n):
        if i == 5:
            raise InterruptedError

    def resumed(fit):
        begun = []
        with pytest.raises(InterruptedError):
            fit(begun, stop)
        begun = unpack("k", pack("k", begun)) if on_disk else begun
        return fit(begun, silent)

    assert resumed(lambda *how: embedding(layer, *how)).equal(c_opt)
    again = resumed(lambda *how: network(layer, c_opt, *how))
    assert again.keys() == lora.keys()
    for name, part in lora.items():
        assert torch.equal(again[name].A, part.A) and torch.equal(again[name].B, part.B)


def test_the_interpolation_is_equation_3(source):
    layer = source()
    c_tgt, c_opt = layer.c, layer.uncond
    assert imagic.interpolated(c_tgt, c_opt, 0.0).equal(c_opt)
    assert imagic.interpolated(c_tgt, c_opt, 1.0).equal(c_tgt)
    between = imagic.interpolated(c_tgt, c_opt, 0.7).states
    torch.testing.assert_close(between, 0.7 * c_tgt.states + 0.3 * c_opt.states)
