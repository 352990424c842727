"""The guidance of concepts against its formula, where the published code is wrong or has no part."""

from __future__ import annotations

import pytest
import torch

from velatura.diffusion import noise
from velatura.diffusion.condition import Condition
from velatura.guidance.term import guided
from velatura.semantic.guidance import Concept, Momentum, Semantic

SHAPE, STEPS = (2, 4, 6, 5), 8


def condition():
    return Condition(torch.zeros(1, 1, 1))


def psi(i):
    return noise.standard_normal([2 * i, 2 * i + 1], SHAPE[1:])


def run(concepts, momentum=None, selected=None):
    """The guidance of every step, with the same psi for all concepts."""
    semantic = Semantic(concepts, momentum, selected)
    return [
        semantic.add(i, [psi(i)] * len(semantic.needed(i)), torch.zeros(SHAPE)).clone() for i in range(STEPS)
    ]


def strongest(one, threshold):
    """psi where |psi| is at least the quantile of its sample and channel."""
    least = one.abs().flatten(2).quantile(threshold, dim=2)[..., None, None]
    return torch.where(one.abs() >= least, one, 0.0)


@pytest.mark.parametrize("momentum", [None, Momentum(0.3, 0.5)], ids=["", "momentum"])
def test_a_concept_that_ends_before_another_begins_gives_no_nan(momentum):
    """The published code divides 0 by 0 in the steps between."""
    early, late = Concept(condition(), begin=1, end=3), Concept(condition(), scale=-2.0, begin=5, end=7)
    found = run([early, late], momentum)
    assert all(one.isfinite().all() for one in found)
    for i in (0, 3, 4):
        assert not found[i].any()
    torch.testing.assert_close(found[1], 5.0 * strongest(psi(1), 0.9))
    if momentum is None:
        torch.testing.assert_close(found[5], -2.0 * strongest(psi(5), 0.9))
        assert not found[7].any()
    else:
        assert found[7].any()  # the momentum runs out


def test_the_momentum_is_one_tensor_that_all_concepts_feed_and_that_acts_when_all_are_warm():
    concepts = [
        Concept(condition(), scale=3.0, threshold=0.5, begin=1, weight=0.5),
        Concept(condition(), scale=-4.0, threshold=0.8, begin=4),
    ]
    nu = torch.zeros(SHAPE)
    for i, guidance in enumerate(run(concepts, Momentum(0.2, 0.7))):
        gammas = [0.5 * 3.0 * strongest(psi(i), 0.5), -4.0 * strongest(psi(i), 0.8)]
        total = gammas[0] + gammas[1] + 0.2 * nu
        nu = 0.7 * nu + (1.0 - 0.7) * total
        wanted = total if i >= 4 else gammas[0] if i >= 1 else torch.zeros(SHAPE)
        torch.testing.assert_close(guidance, wanted)


def test_three_concepts_of_which_two_are_warm_do_not_weaken_each_other():
    """The published code halves both until the third is warm."""
    two = [Concept(condition(), threshold=0.0), Concept(condition(), scale=1.0, threshold=0.0)]
    found = run([*two, Concept(condition(), begin=6)])
    torch.testing.assert_close(found[0], 6.0 * psi(0))


def test_a_painted_place_bounds_a_concept_and_its_threshold():
    where = torch.zeros(1, 1, *SHAPE[2:])
    where[..., 1:3, 2:5] = 1.0
    where[..., 1, 2] = 0.5
    (guidance, *_) = run([Concept(condition(), scale=2.0, threshold=0.5, where=where)])
    inside = psi(0)[..., 1:3, 2:5]
    wanted = torch.zeros(SHAPE)
    wanted[..., 1:3, 2:5] = 2.0 * strongest(inside, 0.5)
    wanted[..., 1, 2] *= 0.5
    torch.testing.assert_close(guidance, wanted)
    assert guidance.count_nonzero() == SHAPE[0] * SHAPE[1] * 3  # half of its six places


def test_the_selection_bounds_the_threshold_of_all():
    selected = torch.zeros(1, 1, *SHAPE[2:])
    selected[..., :2, :] = 1.0
    (guidance, *_) = run([Concept(condition(), scale=1.0, threshold=0.8)], selected=selected)
    assert (guidance[..., :2, :] != 0.0).sum() >= SHAPE[0] * SHAPE[1] * 2


def test_nothing_painted_within_the_selection_is_nothing():
    where, selected = (torch.zeros(1, 1, *SHAPE[2:]) for _ in range(2))
    where[..., 0, :], selected[..., 3, :] = 1.0, 1.0
    assert Semantic([Concept(condition(), where=where)], selected=selected).concepts == []
    assert Semantic([Concept(condition(), scale=0.0), Concept(condition(), weight=0.0)]).concepts == []
    assert Semantic([Concept(condition(), begin=3, end=3)]).concepts == []


def test_a_step_asks_only_for_the_rows_that_it_needs():
    early, late = Concept(condition(), end=3), Concept(condition(), less=condition(), begin=5)
    plain, fed = Semantic([early, late]), Semantic([early, late], Momentum(0.1))
    assert [len(plain.at(i).conditions) for i in (0, 2, 3, 4, 5)] == [1, 1, 0, 0, 2]
    assert [plain.at(i).needs_unconditional for i in (2, 3, 5)] == [True, False, False]
    assert [len(fed.at(i).conditions) for i in (0, 3, 5)] == [3, 2, 2]


@pytest.mark.parametrize("scale", [1.0, 3.0])
@torch.inference_mode()
def test_a_concept_also_acts_at_guidance_1(scale, model):
    """The published code drops all edits there."""
    cond, uncond, hat, snow = (model.encode_prompt(text) for text in ("a cat", "", "a hat", "snow"))
    sigma = 3.0
    x = noise.standard_normal([1], (4, 8, 8)) * sigma

    def D(*terms):
        return guided(model, cond, uncond, scale, terms)(x, sigma)

    def alone(c):
        return guided(model, c, uncond, 1.0, [])(x, sigma)

    found = D(Semantic([Concept(hat, scale=2.0, threshold=0.0)])) - D()
    torch.testing.assert_close(found, 2.0 * (alone(hat) - alone(uncond)), atol=1e-4, rtol=1e-3)
    between = D(Semantic([Concept(hat, snow, scale=2.0, threshold=0.0)])) - D()
    torch.testing.assert_close(between, 2.0 * (alone(hat) - alone(snow)), atol=1e-4, rtol=1e-3)
    assert found.norm() > 0.01
