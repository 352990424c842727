"""The loop against the published updates, and against what must hold whatever a network says."""

from __future__ import annotations

import itertools

import pytest
import torch

from tests.flow import reference
from velatura.cache.cache import Cache
from velatura.diffusion import schedule
from velatura.diffusion.condition import Condition, cat
from velatura.diffusion.denoiser import denoise
from velatura.flow import edit as edit_module
from velatura.flow.edit import Dial, Pulls, edit, plain
from velatura.flow.source import kept

CAPTION, WANTED, NEGATIVE = "a red hat", "a blue hat", "grey"
STEPS, SEEDS = 4, [3, 9]
SHAPE = (1, 4, 8, 8)
NOTHING_KEPT = Cache()


def layer(seed=1, shape=SHAPE):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def levels(model, start=0.8):
    return schedule.sigmas(model.training_sigmas, STEPS, start)


def source_of(model, z0=None, noises=1, seeds=SEEDS, cache=NOTHING_KEPT, caption=CAPTION):
    return kept(cache, model, layer() if z0 is None else z0, caption, levels(model), seeds, noises)


def run(model, pulls, m=None, after_step=lambda step: None, **given):
    with torch.inference_mode(), source_of(model, **given) as source:
        return edit(model, source, pulls, after_step, m), source


def velocities(model):
    def D(x, sigma, text):
        return denoise(model, x, sigma, model.encode_prompt(text).expand(len(x)))

    return lambda z, t, text: reference.velocity(D, z, t, text)


def close(ours, theirs):
    assert (ours - theirs).abs().max() <= 1e-5 * max(1.0, float(theirs.abs().max()))


@pytest.mark.parametrize("zeta", [0.0, 0.05])
def test_flow_align_is_the_published_update(model, zeta):
    z, source = run(model, Pulls([Dial(CAPTION, WANTED, 3.0)], CAPTION, zeta))
    ts = reference.times(source.sigmas)
    z0 = source.z0.expand(2, -1, -1, -1)
    with torch.inference_mode():
        theirs = reference.flow_align(velocities(model), z0, source.n, ts, CAPTION, WANTED, 3.0, zeta)
    close(z, theirs)
    assert (z - z0).abs().max() > 1e-3


@pytest.mark.parametrize("held_to", [CAPTION, NEGATIVE])
def test_flow_slider_is_the_published_update_with_a_sum_over_dials(model, held_to):
    dials = [Dial(held_to, WANTED, 1.5), Dial("young", "old", -0.7)]
    z, source = run(model, Pulls(dials, held_to))
    ts = reference.times(source.sigmas)
    pairs = [(dial.toward, dial.away, dial.strength) for dial in dials]
    z0 = source.z0.expand(2, -1, -1, -1)
    with torch.inference_mode():
        theirs = reference.flow_slider(velocities(model), z0, source.n, ts, CAPTION, held_to, pairs)
    close(z, theirs)


@pytest.mark.parametrize("guidances", [(1.0, 1.0), (1.5, 3.0), (1.0, 4.0)])
def test_flow_edit_is_the_published_update_and_averages_its_noises(model, guidances):
    with torch.inference_mode(), source_of(model, noises=3) as source:
        z = plain(model, source, WANTED, guidances, lambda step: None)
        ts, z0 = reference.times(source.sigmas), source.z0.expand(2, -1, -1, -1)
        draws = [n.unflatten(0, (2, 3)).unbind(1) for n in source.n]
        theirs = reference.flow_edit(velocities(model), z0, draws, ts, CAPTION, WANTED, "", *guidances)
    close(z, theirs)


class Flow:
    """A network of the world of one Gaussian a text, whose velocity is known in closed form.

    A picture of text c is N(mu_c, I); so E[x0 | x = x0 + sigma n] = mu + (x - mu) / (1 + sigma^2)."""

    digest, dtype, prediction, guidance_rescale = "flow", torch.float32, "sample", 0.0
    device = torch.device("cpu")

    def __init__(self):
        import numpy as np

        self.training_sigmas = np.geomspace(0.01, 50.0, 100)
        self.mu = {CAPTION: -1.0, WANTED: 2.0, NEGATIVE: 0.5}

    def encode_prompt(self, text):
        return Condition(torch.full((1, 1, 1), self.mu[text]))

    def network(self, x, t, condition, attend=None):
        import numpy as np

        sigma = float(np.exp(np.interp(t, np.arange(100), np.log(self.training_sigmas))))
        x = x * (sigma**2 + 1.0) ** 0.5  # x came in with unit variance
        mu = condition.states.view(-1, 1, 1, 1)
        return mu + (x - mu) / (1.0 + sigma**2)


def test_on_a_flow_that_is_known_an_edit_goes_as_far_as_its_closed_form_says():
    """For these Gaussians D(p; c) - D(q; c') = (p - q) / (1 + sigma^2) + (mu_c - mu_c') sigma^2 / (1 +
    sigma^2): no noise is left in it, so delta follows a recursion of plain numbers."""
    model, w, zeta = Flow(), 2.0, 0.1
    z, source = run(model, Pulls([Dial(CAPTION, WANTED, w)], CAPTION, zeta))
    delta, ts = 0.0, reference.times(source.sigmas)
    for sigma, (t, t_next) in zip(source.sigmas, itertools.pairwise(ts), strict=False):
        share = sigma**2 / (1.0 + sigma**2)
        R = (1.0 + sigma) * delta / (1.0 + sigma**2) + w * 3.0 * share
        delta = t_next / t * delta + (1.0 - t_next / t - zeta) * R
    assert torch.allclose(z - source.z0, torch.full_like(z, delta), atol=1e-4)
    assert delta > 1.0


def test_the_same_caption_and_strength_0_leave_the_layer_bit_for_bit(model):
    z0 = layer()
    for dials in ([], [Dial(CAPTION, WANTED, 0.0)], [Dial(CAPTION, CAPTION, 5.0), Dial("old", "old", 1.0)]):
        z, source = run(model, Pulls(dials, CAPTION, 0.02))
        assert z.equal(z0.expand_as(z))
        assert source.D == [None] * STEPS  # nor was the model asked
    with torch.inference_mode(), source_of(model) as source:
        for wanted, guidances, share in ((CAPTION, (1.0, 5.0), 1.0), (WANTED, (1.0, 5.0), 0.0)):
            z = plain(model, source, wanted, guidances, lambda step: None, share=share)
            assert z.equal(z0.expand(2, -1, -1, -1))


def test_the_order_of_dials_does_not_matter(any_model):
    dials = [Dial(CAPTION, WANTED, 1.0), Dial("young", "old", 2.0), Dial("day", "night", -1.0)]
    one, _ = run(any_model, Pulls(dials, CAPTION))
    other, _ = run(any_model, Pulls(dials[::-1], CAPTION))
    close(one, other)


def test_two_dials_of_one_direction_are_one_of_their_sum(any_model):
    two, _ = run(any_model, Pulls([Dial(CAPTION, WANTED, 0.5), Dial(CAPTION, WANTED, 1.0)], CAPTION))
    one, _ = run(any_model, Pulls([Dial(CAPTION, WANTED, 1.5)], CAPTION))
    close(two, one)
    turned, _ = run(any_model, Pulls([Dial(WANTED, CAPTION, -1.5)], CAPTION))
    close(turned, one)


def test_outside_a_selection_the_latents_stay_and_a_soft_one_means_how_much(any_model):
    m = torch.zeros(1, 1, 8, 8)
    m[..., 2:5, 2:6], m[..., 2:5, 4:6] = 1.0, 0.5
    seen = []
    z, source = run(any_model, Pulls([Dial(CAPTION, WANTED, 4.0)], NEGATIVE), m, seen.append)
    outside = (m == 0.0).expand_as(z)
    assert z[outside].equal(source.z0.expand_as(z)[outside])
    assert not z[~outside].equal(source.z0.expand_as(z)[~outside])
    assert [(step.i, step.n) for step in seen] == [(i, STEPS) for i in range(STEPS)]
    half, _ = run(any_model, Pulls([Dial(CAPTION, WANTED, 2.0)], CAPTION), torch.full_like(m, 1.0))
    full, _ = run(any_model, Pulls([Dial(CAPTION, WANTED, 4.0)], CAPTION), torch.full_like(m, 0.5))
    close(half, full)


def test_seeds_do_not_depend_on_the_batch_they_run_in(any_model):
    pulls = Pulls([Dial(CAPTION, WANTED, 2.0)], CAPTION)
    both, _ = run(any_model, pulls, noises=2)
    for i, seed in enumerate(SEEDS):
        alone, _ = run(any_model, pulls, noises=2, seeds=[seed])
        close(both[i : i + 1], alone)


@pytest.fixture
def rows(any_model, monkeypatch):
    """Rows of each pass through the network."""
    counted = []
    network = type(any_model).network

    def count(self, x, *args, **more):
        counted.append(len(x))
        return network(self, x, *args, **more)

    monkeypatch.setattr(type(any_model), "network", count)
    return counted


def test_a_step_costs_a_row_for_each_text_that_is_not_known(any_model, rows):
    cache = Cache(memory=1 << 24)
    pulls = Pulls([Dial(CAPTION, WANTED, 2.0)], CAPTION)
    first, _ = run(any_model, pulls, seeds=[3], cache=cache)
    assert rows == [1, 1, 1, 2, 1, 2, 1, 2]  # the source, then the edit; in the first step p is q
    rows.clear()
    again, _ = run(any_model, pulls, seeds=[3], cache=cache)
    assert rows == [1, 2, 2, 2] and again.equal(first)
    rows.clear()
    moved = Pulls([Dial(CAPTION, WANTED, 1.0), Dial("young", "old", 1.0)], CAPTION)
    run(any_model, moved, seeds=[3], cache=cache)
    assert rows == [3, 4, 4, 4]
    rows.clear()
    run(any_model, pulls, seeds=[3, 4], cache=cache)  # a further seed is asked about with the others
    assert rows == [2, 2, 2, 4, 2, 4, 2, 4]
    rows.clear()
    run(any_model, pulls, seeds=[4], cache=cache)
    assert rows == [1, 2, 2, 2]
    rows.clear()
    run(any_model, pulls, seeds=[3], cache=cache, caption="a green hat")
    assert len(rows) == 2 * STEPS


def test_what_is_kept_stays_within_its_budget_and_an_edit_that_is_stopped_keeps_its_steps(any_model, rows):
    class Stopped(Exception):
        pass

    def stop(step):
        if step.i == 1:
            raise Stopped

    cache = Cache(memory=1 << 24)
    pulls = Pulls([Dial(CAPTION, WANTED, 2.0)], CAPTION)
    with pytest.raises(Stopped):
        run(any_model, pulls, seeds=[3], cache=cache, after_step=stop)
    rows.clear()
    run(any_model, pulls, seeds=[3], cache=cache)
    assert rows == [1, 2, 1, 2, 1, 2]
    small = Cache(memory=3 * 4 * 8 * 8 * 4)  # three steps of one seed: not a whole run
    run(any_model, pulls, seeds=[3], cache=small)
    assert small.nbytes <= 3 * 4 * 8 * 8 * 4


def injected_plainly(model, source, pulls):
    """The source's queries and keys by one batch of three rows, copied at every self-attention."""
    (dial,) = pulls.dials
    delta = torch.zeros_like(source.z0)
    until = round(pulls.self_until * STEPS)
    ts = reference.times(source.sigmas)
    for i, (t, t_next) in enumerate(itertools.pairwise(ts)):

        def attend(place, q, k, v, i=i):
            if place.kind == "self" and i < until:
                q, k = (x[:1].expand_as(x) for x in (q, k))
            return torch.nn.functional.scaled_dot_product_attention(q, k, v)

        q = source.q(i)
        p = q + (1.0 + source.sigmas[i]) * delta
        c = cat([model.encode_prompt(text) for text in (CAPTION, CAPTION, dial.toward)])
        D_src, D_neg, D_pos = denoise(model, torch.cat([q, p, p]), source.sigmas[i], c, attend).split(1)
        R = D_neg - D_src + dial.strength * (D_pos - D_neg)
        delta = t_next / t * delta + (1.0 - t_next / t) * R
    return source.z0 + delta


@pytest.mark.parametrize("self_until", [0.5, 1.0])
def test_the_sources_shapes_are_injected_as_prompt_to_prompt_does(any_model, self_until, rows):
    pulls = Pulls([Dial(CAPTION, WANTED, 3.0)], CAPTION, self_until=self_until)
    cache = Cache(memory=1 << 26)
    z, source = run(any_model, pulls, seeds=[3], cache=cache)
    with torch.inference_mode():
        close(z, injected_plainly(any_model, source, pulls))
    free, _ = run(any_model, pulls._replace(self_until=0.0), seeds=[3])
    assert (free - z).abs().max() > 1e-4
    rows.clear()
    again, _ = run(any_model, pulls, seeds=[3], cache=cache)
    assert again.equal(z) and rows == [1, 2, 2, 2]  # what is kept serves
    rows.clear()
    small = Cache(memory=1 << 12)  # too little for any step's queries and keys
    for _ in range(2):
        assert run(any_model, pulls, seeds=[3], cache=small)[0].equal(z)
    both, _ = run(any_model, pulls, cache=cache)
    close(both[:1], z)


def test_a_dial_that_pulls_outside_a_selection_takes_nothing_from_one_inside(any_model):
    m = torch.zeros(1, 1, 8, 8)
    m[..., 2:5, 2:6] = 1.0
    dial = Dial(CAPTION, WANTED, 4.0)
    alone, source = run(any_model, Pulls([dial], CAPTION, focused=True), m)
    pulled = []
    focus = edit_module.pull.focus
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(edit_module.pull, "focus", lambda p: pulled.append(p) or focus(p))
        again, _ = run(any_model, Pulls([dial], CAPTION, focused=True), m)
    assert again.equal(alone) and not alone.equal(source.z0.expand_as(alone))
    assert all((p[(m == 0.0).expand_as(p)] == 0.0).all() for p in pulled) and len(pulled) == STEPS
