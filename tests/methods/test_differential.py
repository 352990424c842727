"""Differential diffusion: each pixel its strength; the source exactly where the map says so."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from velatura.diffusion import differential, noise, samplers
from velatura.methods.execute import execute
from velatura.methods.registry import registry
from velatura_protocol.errors import VelaturaError

STEPS = 5


def edit(mask=None, amount=None, method="differential", **more):
    asked = Edit(
        picture(64, 64, dtype="u16"),
        mask,
        method=method,
        parameters={"steps": STEPS, "strength": 1.0, **more},
    )
    if amount is not None:
        asked.request["inputs"]["amount"] = asked._raster(amount[..., None], "A", "", (0, 0))
    return asked


def run(asked, models):
    (layer,) = execute(asked.request, asked.blobs.__getitem__, models, Recorded())
    return pixels(layer)


def ramp():
    """A selection that grows from nothing at the left to everything at the right."""
    return np.tile(np.linspace(0, 255, 64).round().astype(np.uint8), (64, 1))


def test_the_map_is_read_as_in_algorithm_1():
    """mu of 1, .5 and 0 in ten steps: kept for ten, for five and for none."""
    mu = torch.tensor([1.0, 0.5, 0.0])[None, None, None]
    freed = [[bool(v) for v in differential.kept(mu, i, 10).flatten()] for i in range(11)]
    assert [row[0] for row in freed] == [True] * 11
    assert [row[1] for row in freed] == [True] * 5 + [False] * 6
    assert [row[2] for row in freed] == [False] * 11


def test_a_cell_changes_as_much_as_its_most_changing_pixel():
    amount = torch.zeros(1, 1, 16, 24)
    amount[..., 3, 5], amount[..., 12, 20] = 0.25, 1.0
    expected = torch.tensor([[0.75, 1.0, 1.0], [1.0, 1.0, 0.0]])
    assert torch.equal(differential.change_map(amount, (2, 3))[0, 0], expected)


def test_at_every_step_the_latents_are_the_noised_source_where_the_map_says_keep():
    z0, n = noise.standard_normal([1], (4, 6, 8)), noise.standard_normal([2, 3], (4, 6, 8))
    mu = torch.linspace(0.0, 1.0, 48).reshape(1, 1, 6, 8)
    sigmas = [8.0, 4.0, 2.0, 1.0, 0.5, 0.0]
    count = len(sigmas) - 1
    seen = []

    def D(x, sigma, at=None):
        kept = (mu > at.i / at.n).expand_as(x)
        # the first x is noised everywhere, kept or not
        assert torch.equal(x[kept], (z0 + sigma * n)[kept])
        seen.append(int(kept.sum()))
        return torch.tanh(x)

    def after_step(x, step):
        return differential.hold(x, z0 + step.sigma_next * n, mu, step.i + 1, step.n)

    z = samplers.dpmpp_2m(D, z0 + sigmas[0] * n, sigmas, after_step)
    assert len(seen) == count and seen == sorted(seen, reverse=True) and len(set(seen)) == count
    whole = (mu == 1.0).expand_as(z)
    assert torch.equal(z[whole], z0.expand_as(z)[whole])
    assert not torch.isclose(z, z0)[~whole].all()


def test_where_nothing_shall_change_the_layer_stays(models):
    """Exactly, but for a seam around the change, in which the autoencoder's loss fades in."""
    amount = box(64, 64, (20, 40), (8, 30), 128)
    result = run(edit(amount=amount), models)
    source = picture(64, 64, dtype="u16")
    assert np.array_equal(result[:, 46:], source[:, 46:]) and np.array_equal(result[56:], source[56:])
    assert not np.array_equal(result[amount > 0], source[amount > 0])


def test_where_everything_may_change_it_is_the_plain_run(models):
    plain = run(edit(method="sdedit"), models)
    assert np.array_equal(run(edit(), models), plain)
    assert np.array_equal(run(edit(amount=np.full((64, 64), 255, np.uint8)), models), plain)


def test_the_selection_is_the_map_and_its_alpha_is_whole(models):
    """Its softness counts once: as the amount, and not as opacity too."""
    soft, full = ramp(), np.full((64, 64), 255, np.uint8)
    by_selection = run(edit(mask=soft), models)
    assert np.array_equal(by_selection[..., 3], np.where(soft[:, 1:] > 0, 65535, 0))
    by_map = run(edit(mask=full, amount=soft), models)
    assert np.array_equal(by_selection[..., :3], by_map[:, 1:, :3])
    # with a painted map the selection is opacity, as it is everywhere else
    faded = run(edit(mask=soft, amount=full), models)
    assert np.array_equal(faded[..., 3], soft[:, 1:].astype(np.uint16) * 257)


def test_more_selected_changes_more(models):
    source = picture(64, 64, dtype="u16").astype(int)
    changes = []
    for amount in (40, 130, 255):
        result = run(edit(amount=np.full((64, 64), amount, np.uint8)), models).astype(int)
        changes.append(np.abs(result - source)[..., :3].mean())
    assert 0.0 < changes[0] < changes[1] < changes[2]


@pytest.mark.parametrize("method", ["sdedit", "blended-latent-diffusion"])
def test_other_methods_keep_a_soft_selection_as_opacity(models, method):
    soft = ramp()
    assert not registry()[method].selection_is_amount(())
    assert np.array_equal(run(edit(mask=soft, method=method), models)[..., 3], soft[:, 1:].astype(int) * 257)


def test_a_map_outside_of_the_selection_is_refused(models):
    with pytest.raises(VelaturaError, match="outside the selection; paint it inside") as refused:
        run(edit(box(64, 64, (0, 16), (0, 16)), box(64, 64, (40, 60), (40, 60))), models)
    assert refused.value.code == "empty-mask"
