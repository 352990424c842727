"""Edits from two prompts to the picture, against maps that are built and mappers that are written out here.

The mappers are those of Hertz et al. 2022 (their `get_replacement_mapper` and `get_refinement_mapper`), from
lists of words, with two rules of this project where theirs go wrong: words that take others' places may be
more or fewer, and padding stays at its place in the window, so that what has no place any more goes onto its
neighbour. The tiny model reads letter by letter: a word of n letters is n tokens.
"""

from __future__ import annotations

import dataclasses

import pytest
import torch

from tests.prompt_to_prompt import reference
from tests.prompt_to_prompt.test_edit import GUIDANCE, N, assert_close, start, states
from velatura.diffusion import schedule
from velatura.inversion.trajectory import Trajectory
from velatura.prompt_to_prompt.edit import Conditions, edit
from velatura.prompt_to_prompt.plan import Settings, WordSetting, plan

SIZE = (8, 8)
SETTINGS = Settings(
    cross_until=0.6,
    self_until=0.4,
    self_share=1.0,
    value_until=0.0,
    value_share=0.0,
    renormalise=False,
    replaced="swap",
    local_blend=False,
    threshold=0.3,
    blend_start=0.2,
)
CROSS, SELF = 3, 2  # of 5 steps

# Pairs of runs of words, source and target: "" is nothing. `same` runs keep their maps.
CASES = {
    "swap, a token for a token": [("a", "a"), ("red", "tan"), ("hat", "hat")],
    "swap, fewer tokens for more": [("a", "a"), ("red", "yellow"), ("hat", "hat")],
    "swap, more tokens for fewer": [("a", "a"), ("yellow", "red"), ("hat", "hat")],
    "swap, the last word": [("a red", "a red"), ("hat", "crown")],
    "swap, more words for one": [("a", "a"), ("red", "very dark blue"), ("hat", "hat")],
    "swap, two words": [("a", "a"), ("red", "blue"), ("hat on a", "hat on a"), ("cat", "horse")],
    "delete": [("a", "a"), ("red", ""), ("hat", "hat")],
    "delete at the end": [("a hat", "a hat"), ("on a cat", "")],
    "insert": [("a", "a"), ("", "red"), ("hat", "hat")],
    "insert at the end": [("a hat", "a hat"), ("", "on a cat")],
    "swap, insert and delete": [
        ("a", "a"), ("red", "blue"), ("hat", "hat"), ("", "and"), ("on", "on"), ("a", ""), ("cat", "cat"),
    ],
}  # fmt: skip


def prompts(case):
    return [" ".join(run[side] for run in case if run[side]) for side in (0, 1)]


def mapper(case, length, replaced):
    """A [length, length] and alpha [length]."""
    A = torch.zeros(length, length)
    A[0, 0] = 1.0
    i = j = 1  # behind the mark of the beginning
    for old, new in case:
        n, m = (len(text.replace(" ", "")) for text in (old, new))
        if old == new or (replaced == "swap" and n == m and " " not in old + new):
            for k in range(n):
                A[i + k, j + k] = 1.0
        elif replaced == "swap" and old and new:
            for k in range(n):
                A[i + k, j : j + m] = 1.0 / m
        i, j = i + n, j + m
    A[i, j] = 1.0  # the mark of the end
    for place in range(length):
        if place > max(i, j):
            A[place, place] = 1.0
        elif i < place <= j:  # the source's padding, where the target has none yet
            A[place, j + 1] = 1.0
    return A, (A.sum(0) > 0).float()


@pytest.mark.parametrize("replaced", ["swap", "refine"])
@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_an_edit_of_two_prompts_equals_the_reference(sharp, case, replaced):
    source, target = prompts(case)
    told = Conditions(*(sharp.encode_prompt(text) for text in (source, target, "")))
    A, alpha = mapper(case, sharp.prompt_tokens, replaced)
    word = next(new for _, new in reversed(case) if new).split()[-1]
    at = 1 + target.replace(" ", "").rindex(word)
    weights = torch.ones(sharp.prompt_tokens)
    weights[at : at + len(word)] = 2.0

    settings = SETTINGS if replaced == "swap" else dataclasses.replace(SETTINGS, replaced=replaced)
    which = target.split().count(word)
    planned = plan(sharp, source, target, [WordSetting(word, which, weight=2.0)], settings, N)
    sigmas = list(schedule.sigmas(sharp.training_sigmas, N))
    x = start(SIZE)
    trajectory = Trajectory(sigmas, [x * (1.0 + sigmas[0] ** 2) ** 0.5])
    with torch.inference_mode():
        made = edit(
            sharp, trajectory, told, planned.control, guidance=GUIDANCE, after_step=lambda step: None
        )  # fmt: skip

    alphas = 1.0 / (1.0 + sharp.training_sigmas**2)
    times = [round(schedule.time(sharp.training_sigmas, sigma)) for sigma in sigmas[:-1]]

    def run(A, alpha):
        asked = reference.Edit(A, alpha * CROSS, weights, self_steps=SELF, self_share=1.0)
        rows = states(told)
        return reference.run(sharp.unet, alphas, times, x, *rows, GUIDANCE, asked)

    x_s, x_t = run(A, alpha)
    assert_close(trajectory.x[-1], x_s)
    assert_close(made, x_t)
    other = run(torch.eye(len(A)), torch.ones(len(A)))[1]  # tokens by their place alone
    if len(source.replace(" ", "")) != len(target.replace(" ", "")) or replaced == "refine":
        assert float((other - x_t).abs().max() / x_t.abs().max()) > 1e-4, "the mapper of this test is nothing"
