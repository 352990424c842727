"""LEDITS++'s invariants: exact replay, exact places, masks, windows."""

import pytest
import torch

from velatura.attention.places import Place
from velatura.diffusion import noise, schedule
from velatura.diffusion.denoiser import guided_by
from velatura.guidance.term import AttentiveTerm
from velatura.inversion.ledits import invert
from velatura.semantic.ledits import Base, Concept, Concepts, above, edit, smoothed

STEPS = 4


@pytest.fixture(autouse=True)
def as_in_the_worker():
    with torch.inference_mode():
        yield


@pytest.fixture(scope="module")
def base(model):
    return Base(model.encode_prompt("a cat"), model.encode_prompt(""), 3.5)


@pytest.fixture(scope="module")
def source(model, base):
    with torch.inference_mode():
        z0 = noise.standard_normal([7], (4, 10, 14))  # of no whole number of maps
        sigmas = schedule.levels(model.training_sigmas, STEPS, 0.9)
        return invert(guided_by(model, base.c, base.uncond, base.scale), z0, sigmas, [1, 2])


def concept(model, text="a hat", scale=8.0, threshold=0.5, first=0, last=STEPS, where=None):
    return Concept(
        model.encode_prompt(text), model.tokenized(text).words, scale, threshold, first, last, where
    )


def edited(model, source, base, *concepts, m=None, after_step=lambda _: None):
    m = torch.ones(1, 1, 10, 14) if m is None else m
    return edit(model, source, base, concepts, m, after_step)


def test_every_step_of_the_source_replays_bit_for_bit(source):
    """Also the last, at which the published code ends on the network's prediction."""
    for i in range(STEPS):
        again = source.next(i, source.x[i], source.D[i], source.before(i))
        assert torch.equal(again, source.x[i + 1])
    assert not torch.equal(source.D[-1], source.z0)


NOTHING = {
    "no concept": lambda model: [],
    "a scale of 0": lambda model: [concept(model, scale=0.0)],
    "no place": lambda model: [concept(model, where=torch.zeros(1, 1, 10, 14))],
    "no place, later": lambda model: [concept(model, first=2, last=3, where=torch.zeros(1, 1, 10, 14))],
}


@pytest.mark.parametrize("nothing", NOTHING.values(), ids=NOTHING)
def test_concepts_without_effect_give_the_layers_latents(nothing, model, source, base):
    assert torch.equal(edited(model, source, base, *nothing(model)), source.z0)


def test_the_rest_of_a_selection_is_the_noised_source_and_ends_on_it(model, source, base):
    m = torch.zeros(1, 1, 10, 14)
    m[..., 2:7, 3:9] = 1.0
    m[..., 2, :] *= 0.5
    expected = []
    z = edited(
        model, source, base, concept(model), m=m, after_step=lambda step: expected.append(step.expected)
    )
    outside = (m == 0.0).expand_as(z)
    assert torch.equal(z[outside], source.z0[outside]) and len(expected) == STEPS
    assert all(torch.equal(D[outside], source.z0[outside]) for D in expected)
    assert not torch.equal(z, source.z0)


def test_steps_before_a_window_run_without_a_network_and_after_it_without_its_rows(
    model, source, base, monkeypatch
):
    rows = []
    network = model.network
    monkeypatch.setattr(model, "network", lambda x, *a, **more: rows.append(len(x)) or network(x, *a, **more))
    edited(model, source, base, concept(model, first=1, last=3), concept(model, "a dog", first=2, last=3))
    assert rows == [2 * 3, 2 * 4, 2 * 2]  # two variations; caption, "" and the concepts


def test_concepts_do_not_depend_on_their_order_or_the_batch(model, source, base):
    one, other = concept(model), concept(model, "a dog", scale=-4.0, threshold=0.7)
    z = edited(model, source, base, one, other)
    torch.testing.assert_close(edited(model, source, base, other, one), z, rtol=1e-4, atol=1e-4)
    alone = invert(guided_by(model, base.c, base.uncond, base.scale), source.z0[:1], source.sigmas, [2])
    assert torch.equal(alone.D[0], source.D[0][1:])
    torch.testing.assert_close(edited(model, alone, base, one, other), z[1:], rtol=1e-4, atol=1e-4)


def test_the_mask_from_attention_is_that_of_the_concepts_own_words(model):
    """Two concepts with given queries and keys: each reads its own rows and its own columns."""
    one, other = concept(model, "a hat"), concept(model, "dogs")
    term = Concepts(model, [one, other], (32, 32))
    assert isinstance(term, AttentiveTerm)
    q, k = noise.standard_normal([1, 2], (4, 2, 64, 8)), noise.standard_normal([3, 4], (4, 2, 77, 8))
    q, k = q[0], k[0]  # [2 concepts x 2 variations, 2 heads, places or tokens, 8]
    term.see(Place("there", "cross", 2), q, k)
    term.see(Place("finer", "cross", 1), q, k)
    term.see(Place("there", "self", 2), q, k)
    (maps,) = term._maps
    probabilities = (q @ k.transpose(-1, -2) / 8**0.5).softmax(-1).mean(1)
    for e, read in enumerate((one, other)):
        columns = probabilities[2 * e : 2 * e + 2, :, list(read.content)]
        torch.testing.assert_close(maps[e], columns.sum(-1))


def test_the_quantile_keeps_its_share_of_the_painted_places(model):
    values = noise.standard_normal([1], (1, 20, 20))
    assert float(above(values, 0.9).mean()) == pytest.approx(0.1)
    where = torch.zeros(1, 1, 20, 20)
    where[..., :5, :] = 0.5
    kept = above(values, 0.9, where)
    assert float(kept[..., :5, :].mean()) == pytest.approx(0.1)


def test_smoothing_is_the_published_kernel_and_takes_maps_of_any_size():
    dot = torch.zeros(1, 1, 7, 9)
    dot[..., 3, 4] = 1.0
    weights = [[torch.e ** -(dy**2 + dx**2) for dx in (-1, 0, 1)] for dy in (-1, 0, 1)]
    expected = torch.tensor(weights) / sum(map(sum, weights))
    torch.testing.assert_close(smoothed(dot)[0, 0, 2:5, 3:6], expected)
    torch.testing.assert_close(smoothed(torch.ones(1, 1, 1, 5)), torch.ones(1, 1, 1, 5))
