"""Edits in half precision, as GPUs run them, against float32."""

from __future__ import annotations

import copy
import dataclasses

import pytest
import torch

from tests.prompt_to_prompt.test_edit import GUIDANCE, N, T, conditions, everything, ours, start
from velatura.diffusion import schedule
from velatura.inversion.ddim import direct
from velatura.prompt_to_prompt.control import Control, Cross
from velatura.prompt_to_prompt.edit import edit
from velatura.prompt_to_prompt.features import Features

SIZE = (12, 6)


@pytest.fixture(scope="module")
def half(sharp):
    unet = copy.deepcopy(sharp.unet).to(torch.bfloat16)
    return dataclasses.replace(sharp, unet=unet, dtype=torch.bfloat16)


def error(a, b):
    """Root of the mean squared difference, of b's own size."""
    return float((a - b).square().mean().sqrt() / b.square().mean().sqrt())


def plain():
    return Control(torch.eye(T), torch.zeros(N, T), torch.ones(T))


@pytest.mark.parametrize("blends", [False, True], ids=["everywhere", "local blend"])
def test_an_edit_in_bfloat16_is_as_near_as_sampling_is(sharp, half, blends):
    control, local = everything()
    local = local if blends else None
    sampling = error(ours(half, SIZE, plain(), conditions())[1], ours(sharp, SIZE, plain(), conditions())[1])
    source, target = ours(half, SIZE, control, conditions(), local=local)
    exact = ours(sharp, SIZE, control, conditions(), local=local)
    assert target.dtype == source.x[-1].dtype == torch.float32
    assert 0.0 < error(source.x[-1], exact[0].x[-1]) < 1.01 * sampling + 0.01
    assert error(target, exact[1]) < 2.0 * sampling < 0.1


def test_a_layers_second_edit_in_bfloat16_is_its_first(half):
    """What is recorded is what was computed: nothing is rounded again."""
    control, local = everything()
    features, told = Features(1 << 30), conditions()
    with torch.inference_mode():
        trajectory = direct(half, start(SIZE), told.source, schedule.sigmas(half.training_sigmas, N))
        first, second = (
            edit(
                half, trajectory, told, control, guidance=GUIDANCE, after_step=lambda step: None,
                local=local, features=features,
            )
            for _ in range(2)
        )  # fmt: skip
    assert all(branch.q.dtype == torch.bfloat16 for branch in features.branches.values())
    assert error(second, first) < 0.02


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16], ids=str)
def test_a_query_that_sees_only_a_deleted_word_gets_nothing_and_no_nan(dtype):
    """All that is left of such a query's probability is 0, and so is what it would be renormalised by."""
    A, weights = torch.eye(4), torch.ones(4)
    A[0, 0] = 0.0
    weights[2] = 2.0
    k = torch.zeros(1, 1, 4, 8, dtype=dtype)
    k[..., 0, :] = 30.0
    q, v = torch.full((1, 1, 3, 8), 30.0, dtype=dtype), torch.ones(1, 1, 4, 8, dtype=dtype)
    control = Control(A, torch.ones(1, 4), weights)
    out, _ = Cross(control.mix(0, None, v), k, k, v)(q, q)
    assert torch.equal(out, torch.zeros_like(out))
