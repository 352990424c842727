"""Directions in the bottleneck: the asymmetric step against its formula; the network stays as it was."""

from __future__ import annotations

import math

import pytest
import torch

from velatura.diffusion import noise, schedule
from velatura.diffusion.denoiser import denoise
from velatura.inversion.ddim import direct
from velatura.inversion.trajectory import Trajectory
from velatura.semantic import h_space
from velatura.semantic.source import Prompts, Source
from velatura_protocol.errors import VelaturaError

SHAPE = (4, 8, 8)


@pytest.fixture
def sigmas(model):
    return schedule.sigmas(model.training_sigmas, 4)


@pytest.fixture
def texts(model):
    return model.encode_prompt("a cat"), model.encode_prompt("a dog in snow")


def imagined(model, sigmas, guidance=1.0, seeds=(3,)):
    x = noise.standard_normal(list(seeds), SHAPE) * sigmas[0]
    return Source(model, Trajectory(list(sigmas), [x]), Prompts("a cat", "", guidance))


def layer(model, sigmas):
    z0 = noise.standard_normal([5], SHAPE)
    trajectory = direct(model, z0, model.encode_prompt("a cat"), list(sigmas))
    return Source(model, trajectory, Prompts("a cat", "", 1.0)), z0


def fitted(source, model, texts, steps=range(4), tries=3, known=None):
    return h_space.fit(source, model, *texts, steps, tries, [] if known is None else known)


def moved(deltas, amount=3.0, first=0):
    return [h_space.Move(deltas, amount, first)]


def silent(step):
    pass


@torch.inference_mode()
def test_the_bottleneck_is_that_of_the_network_and_comes_back_as_it_was(model, texts):
    x, c, seen, read = noise.standard_normal([1, 2], SHAPE), texts[0].expand(2), [], []
    plain = denoise(model, x, 1.0, c)
    handle = model.unet.mid_block.register_forward_hook(lambda _, __, h: seen.append(h))
    with model.bottleneck(lambda h: read.append(h) or h):
        assert torch.equal(denoise(model, x, 1.0, c), plain)
    handle.remove()
    assert torch.equal(read[0], seen[0])
    with model.bottleneck(lambda h: h + 1.0):
        assert not torch.equal(denoise(model, x, 1.0, c), plain)
    with pytest.raises(ZeroDivisionError), model.bottleneck(lambda h: h / (1 // 0)):
        denoise(model, x, 1.0, c)
    assert torch.equal(denoise(model, x, 1.0, c), plain)


@torch.inference_mode()
@pytest.mark.parametrize("guidance", [1.0, 3.0])
def test_the_asymmetric_process_is_that_of_the_paper(model, sigmas, texts, guidance):
    """x_{t-1} = sqrt(abar_{t-1}) P_t(eps~) + D_t(eps), written out in the variance-preserving form."""
    source = imagined(model, sigmas, guidance)
    deltas = fitted(source, model, texts)
    made = h_space.edit(source, model, moved(deltas), silent)

    def predicted(x, sigma, delta):
        rows = {}
        for name, condition in (("c", source.cond), ("u", source.uncond)):
            with model.bottleneck(lambda h: h + delta):
                rows[name] = denoise(model, x, sigma, condition)
        return rows["u"] + guidance * (rows["c"] - rows["u"])

    x = source.x(0)
    for i in range(4):
        sigma, sigma_next = sigmas[i : i + 2]
        abar, abar_next = 1.0 / (1.0 + sigma**2), 1.0 / (1.0 + sigma_next**2)
        P_changed, P = predicted(x, sigma, 3.0 * deltas[i]), predicted(x, sigma, torch.zeros(()))
        x_t = math.sqrt(abar) * x
        eps = (x_t - math.sqrt(abar) * P) / math.sqrt(1.0 - abar)
        x_next = math.sqrt(abar_next) * P_changed + math.sqrt(1.0 - abar_next) * eps
        x = x_next / math.sqrt(abar_next)
    assert (made - x).norm() <= 1e-4 * x.norm()
    assert (made - source.x(4)).norm() > 1e-2 * x.norm()


@torch.inference_mode()
def test_a_direction_leads_the_prediction_to_that_for_the_other_text(model, sigmas, texts):
    source, _ = layer(model, sigmas)
    away, toward = texts
    deltas = fitted(source, model, texts, tries=40)
    for i in range(4):
        x, sigma = source.x(i), sigmas[i]
        wanted, before = (denoise(model, x, sigma, c) for c in (toward, away))
        with model.bottleneck(lambda h, i=i: h + deltas[i]):
            after = denoise(model, x, sigma, away)
        assert (after - wanted).norm() < 0.7 * (before - wanted).norm()


@torch.inference_mode()
def test_a_fit_is_resumed_and_rows_are_fitted_each_by_itself(model, sigmas, texts):
    both, one = imagined(model, sigmas, seeds=(3, 4)), imagined(model, sigmas, seeds=(4,))
    whole = fitted(both, model, texts)
    known = [delta.clone() for delta in whole[:2]]
    assert fitted(both, model, texts, known=known) is known
    assert all(torch.equal(a, b) for a, b in zip(known, whole, strict=True))
    for a, b in zip(fitted(one, model, texts), whole, strict=True):
        assert torch.allclose(a, b[1:], atol=2e-2)


@torch.inference_mode()
def test_a_layer_that_nothing_moves_stays_and_the_edit_stays_in_the_selection(model, sigmas, texts):
    source, z0 = layer(model, sigmas)
    deltas = fitted(source, model, texts)
    for moves in ([], moved(deltas, 0.0), moved(deltas, 3.0, 4)):
        assert torch.equal(h_space.edit(source, model, moves, silent), z0)
    m = torch.zeros(1, 1, 8, 8)
    m[..., 2:5, 2:5] = 1.0
    z = h_space.edit(source, model, moved(deltas), silent, m_latent=m)
    inside = m.expand_as(z) > 0.0
    assert torch.equal(z[~inside], z0[~inside]) and not torch.equal(z[inside], z0[inside])


@torch.inference_mode()
def test_moves_add_up_and_act_in_their_steps(model, sigmas, texts):
    source, _ = layer(model, sigmas)
    deltas = fitted(source, model, texts)
    a, b = (h_space.edit(source, model, m, silent) for m in (moved(deltas, 1.0) * 2, moved(deltas, 2.0)))
    assert torch.allclose(a, b, atol=1e-4)
    seen = []
    h_space.edit(source, model, moved(deltas[:1], 2.0, 2), seen.append)
    assert [step.i for step in seen] == [0, 1, 2, 3]
    assert torch.equal(seen[1].denoised, source.x(4)) and not torch.equal(seen[2].denoised, source.x(4))


def test_a_network_without_a_middle_is_refused(model, monkeypatch):
    monkeypatch.setitem(model.unet._modules, "mid_block", None)
    with pytest.raises(VelaturaError, match="no middle") as refused, model.bottleneck(lambda h: h):
        pass
    assert refused.value.code == "unknown-model"
