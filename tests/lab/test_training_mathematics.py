"""The mathematics of training the embedded model against closed forms and diffusers."""

import math
from dataclasses import replace

import pytest
import torch
from diffusers import DDIMScheduler

from velatura_lab.training.autoencoder import (
    ELEMENT_WEIGHTS,
    mask_loss,
    moment_loss,
    pixel_weights,
    reconstruction_losses,
    weight_table,
)
from velatura_lab.training.data import KIND_NAMES, MASKS
from velatura_lab.training.diffusion import stratified_times, velocity
from velatura_lab.training.maps import map_loss, record_maps
from velatura_lab.training.networks import PROFILES, SCHEDULER, TOKENS, make_unet
from velatura_lab.world import KINDS, elements


def test_map_loss_of_an_even_map_has_a_closed_form():
    places, tokens = 4, 5
    probabilities = torch.full((1, places, tokens), 1.0 / tokens)
    shares = torch.tensor([[[1.0, 0.5, 0.0, 0.0]]])
    words = torch.tensor([[[0, 1, 1, 0, 0]]])
    expected = -math.log(1.0 / tokens) - math.log(1.0 - 2.0 / tokens)
    assert map_loss(probabilities, shares, words).item() == pytest.approx(expected, rel=1e-3)


def test_map_loss_is_zero_for_a_word_that_points_and_ignores_what_is_not_worded():
    probabilities = torch.tensor([[[0.0, 1.0], [1.0, 0.0]]])
    shares = torch.tensor([[[1.0, 0.0], [0.3, 0.7]]])
    words = torch.tensor([[[0, 1], [0, 0]]])
    assert map_loss(probabilities, shares, words).item() == pytest.approx(0.0, abs=1e-4)
    assert map_loss(probabilities.flip(1), shares, words).item() > 10.0


def test_velocity_is_diffusers_velocity_and_gives_the_picture_back():
    scheduler = DDIMScheduler(**SCHEDULER)
    x0, noise = torch.randn(3, 8, 4, 4), torch.randn(3, 8, 4, 4)
    times = torch.tensor([0, 400, 999])
    alphas = scheduler.alphas_cumprod[times]
    noisy, v = velocity(x0, noise, alphas)
    torch.testing.assert_close(noisy, scheduler.add_noise(x0, noise, times))
    torch.testing.assert_close(v, scheduler.get_velocity(x0, noise, times))
    a = alphas.view(-1, 1, 1, 1)
    torch.testing.assert_close(a.sqrt() * noisy - (1 - a).sqrt() * v, x0, atol=1e-5, rtol=1e-4)
    assert alphas[-1] == 0.0


def test_times_cover_every_part_once():
    for _ in range(20):
        assert sorted((stratified_times(8, 1000) // 125).tolist()) == list(range(8))


def test_reconstruction_losses_see_colour_and_edges():
    grey, shares = torch.zeros(1, 3, 128, 128), torch.full((1, MASKS, 32, 32), 1.0 / MASKS)
    weight = pixel_weights(shares, weight_table()[:1], 128)
    torch.testing.assert_close(weight.mean(), torch.tensor(1.0))
    same, tinted = (reconstruction_losses(grey + shift, grey, weight) for shift in (0.0, 0.2))
    assert float(sum(same.values())) == 0.0
    assert tinted["colour"].item() == pytest.approx(0.2)
    assert tinted["edge"].item() == 0.0


def test_small_elements_weigh_more_and_all_that_are_weighted_exist():
    assert set(ELEMENT_WEIGHTS) <= {name for kind in KINDS for name in elements(kind)}
    shares = torch.zeros(1, MASKS, 32, 32)
    shares[:, 0, :16], shares[:, elements("portrait").index("mouth"), 16:] = 1.0, 1.0
    weight = pixel_weights(shares, weight_table()[[KIND_NAMES.index("portrait")]], 64)
    assert weight[..., 60, 5] / weight[..., 3, 5] == pytest.approx(ELEMENT_WEIGHTS["mouth"])


def test_mask_loss_reads_the_pictures_own_kind():
    shares = torch.zeros(2, MASKS, 4, 4)
    shares[:, 3] = 1.0
    logits = torch.zeros(2, len(KIND_NAMES), MASKS, 4, 4)
    logits[0, 0, 3], logits[1, 2, 3] = 20.0, 20.0
    kinds = torch.tensor([0, 2])
    assert mask_loss(logits.flatten(1, 2), shares, kinds).item() == pytest.approx(0.0, abs=1e-5)
    assert mask_loss(logits.flatten(1, 2), shares, kinds.flip(0)).item() == pytest.approx(math.log(MASKS))


def test_moment_loss_wants_unit_deviation():
    rows = torch.randn(64, 8, 8, 8)
    assert moment_loss(rows) < 0.01 < 1.0 < moment_loss(3.0 * rows + 1.0)


def test_recording_changes_nothing_and_is_taken_off():
    torch.manual_seed(0)
    unet = make_unet(replace(PROFILES["gpu"], latent_channels=4, unet=(32, 32), unet_depth=1)).eval()
    inputs = torch.randn(2, 4, 8, 8), torch.tensor([10, 900]), torch.randn(2, TOKENS, 128)
    with torch.no_grad():
        plain = unet(*inputs).sample
        with pytest.raises(KeyError), record_maps(unet) as maps:
            recorded = unet(*inputs).sample
            raise KeyError
        after = unet(*inputs).sample
    torch.testing.assert_close(recorded, plain, atol=1e-4, rtol=1e-4)
    assert torch.equal(after, plain)
    assert sorted(tuple(item.shape) for item in maps) == [(2, 16, TOKENS)] * 4 + [(2, 64, TOKENS)] * 3
    torch.testing.assert_close(maps[0].sum(-1), torch.ones(2, maps[0].shape[1]))
