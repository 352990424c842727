"""Prompt-to-Prompt in joint attention, against maps that are built."""

from __future__ import annotations

import math

import pytest
import torch

from tests.joint import Joint
from velatura.attention.joint import Blocks
from velatura.diffusion import noise, schedule
from velatura.diffusion.condition import cat
from velatura.diffusion.denoiser import denoise
from velatura.inversion.trajectory import Trajectory
from velatura.prompt_to_prompt.control import Control
from velatura.prompt_to_prompt.edit import Conditions, edit
from velatura.prompt_to_prompt.features import Features
from velatura.prompt_to_prompt.maps import word_maps
from velatura.prompt_to_prompt.plan import Settings, WordSetting, plan

N, GUIDANCE, SIZE = 4, 3.0, (6, 10)
SOURCE, TARGET = "a red cat on grass", "a red elephant on grass"
KINDS = {
    "text first": {},
    "picture first": {"text_first": False},
    "references": {"references": 5},
    "masked": {"padded": False},
    "chosen blocks": {"blocks": Blocks(frozenset({"blocks.0", "blocks.2"}), frozenset({"blocks.1"}))},
}


@pytest.fixture(scope="module", params=KINDS, name="model")
def a_model(request):
    return Joint(**KINDS[request.param])


def settings(**more):
    given = {
        "cross_until": 0.5,
        "self_until": 0.5,
        "self_share": 0.25,
        "value_until": 0.0,
        "value_share": 0.0,
        "renormalise": True,
        "replaced": "swap",
        "local_blend": False,
        "threshold": 0.5,
        "blend_start": 0.25,
    }
    return Settings(**(given | more))


EDITS = {
    "swap": {"self_until": 0.0},
    "the picture's queries and keys": {"cross_until": 0.0},
    "both": {},
    "whole": {"cross_until": 1.0, "self_until": 1.0},
    "values": {"value_until": 0.75, "value_share": 0.4},
    "weights": {"weight": 3.0},
    "weights, not balanced": {"weight": -1.0, "renormalise": False},
    "local blend": {"local_blend": True, "weight": 2.0},
    "refine": {"replaced": "refine", "cross_until": 0.75, "self_until": 0.25},
}


def edited(model, seeds=(1, 2), features=None, known=None, **asked):
    planned = planned_for(model, **asked)
    return run(model, planned.control, planned.local, SOURCE, TARGET, seeds, features, known)


def planned_for(model, weight=1.0, **asked):
    words = [WordSetting("red", weight=weight)] if weight != 1.0 else []
    return plan(model, SOURCE, TARGET, words, settings(**asked), N)


def run(model, control, local, source, target, seeds, features=None, known=None):
    """The trajectory and the target's latents. known: a trajectory that an earlier run has made."""
    sigmas = schedule.sigmas(model.training_sigmas, N)
    x = noise.standard_normal(list(seeds), (4, *SIZE)) * sigmas[0]
    trajectory = Trajectory([*sigmas], [x]) if known is None else known
    conditions = Conditions(*map(model.encode_prompt, (source, target, "")))
    with torch.inference_mode():
        z = edit(
            model,
            trajectory,
            conditions,
            control,
            guidance=GUIDANCE,
            after_step=lambda _: None,
            local=local,
            features=features,
        )
    return trajectory, z


def close(a, b):
    assert float((a - b).abs().max() / b.abs().max()) < 1e-5


def softmax(q, k):
    return (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1)


class Built:
    """The target's rows of one pass, with every map written out. B rows of the source are the first."""

    def __init__(self, model, control, local, i, B, sums):
        self.model, self.control, self.local, self.i, self.B, self.sums = model, control, local, i, B, sums

    def __call__(self, place, q, k, v):
        control, i, B = self.control, self.i, self.B
        (a, b), (c, _) = place.image, place.text
        injects = self.model.joint_blocks.injects(place.name)
        q, k, v = q.clone(), k.clone(), v.clone()
        M_s = softmax(q[:B], k[:B])
        injected = injects and i < control.self_steps
        if injected:
            q[-B:, :, a:b], k[-B:, :, a:b] = q[:B, :, a:b], k[:B, :, a:b]
        if injects and i < control.value_steps:
            v[-B:, :, a:b] += control.value_share * (v[:B, :, a:b] - v[-B:, :, a:b])
        M = softmax(q, k)
        T_s, T_t = control.A.shape
        alpha = control.alpha[i] if injects else torch.zeros(T_t)
        own = M[-B:, :, a:b]
        seen = own.clone()
        if injected and alpha.any():
            seen = M_s[:, :, a:b].clone()
        columns = alpha * (M_s[:, :, a:b, c : c + T_s] @ control.A) + (1 - alpha) * own[..., c : c + T_t]
        seen[..., c : c + T_t] = columns
        if self.local is not None and self.model.joint_blocks.reads(place.name):
            words = self.local.words
            maps = [columns @ words.target, M_s[:, :, a:b, c : c + T_s] @ words.source]
            self.sums.append(torch.cat(maps, -1).mean(1))
        weighed = seen.clone()
        weighed[..., c : c + T_t] *= control.weights
        if control.weighs and control.renormalise:
            counted = seen.clone()
            counted[..., c : c + T_t] *= control.weights.abs()
            weighed *= (seen.sum(-1) / counted.sum(-1)).clamp(max=10.0)[..., None]
        M[-B:, :, a:b] = weighed
        return M @ v


def built(model, control, local, source, target, seeds=(1, 2), size=SIZE):
    """Source and target by Euler steps, both branches in every pass."""
    sigmas = schedule.sigmas(model.training_sigmas, N)
    B, sums = len(seeds), []
    x_s = x_t = noise.standard_normal(list(seeds), (4, *size)) * sigmas[0]
    c = cat([model.encode_prompt(text).expand(B) for text in (source, "", "", target)])
    for i in range(N):
        attend = Built(model, control, local, i, B, sums)
        with torch.inference_mode():
            D = denoise(model, torch.cat([x_s, x_s, x_t, x_t]), sigmas[i], c, attend).chunk(4)
        ratio = sigmas[i + 1] / sigmas[i]
        D_s, D_t = (D[u] + GUIDANCE * (D[c] - D[u]) for u, c in ((1, 0), (2, 3)))
        x_s, x_t = D_s + ratio * (x_s - D_s), D_t + ratio * (x_t - D_t)
        if local is not None and i >= local.start:
            grid = size[0] // 2, size[1] // 2
            maps = torch.stack(sums).sum(0).transpose(1, 2).unflatten(-1, grid)
            x_t = torch.where(local.mask(maps, size), x_t, x_s)
    return x_s, x_t


@pytest.mark.parametrize("asked", EDITS.values(), ids=EDITS.keys())
def test_equals_maps_that_are_built(model, asked):
    planned = planned_for(model, **asked)
    trajectory, z = run(model, planned.control, planned.local, SOURCE, TARGET, (1, 2))
    x_s, x_t = built(model, planned.control, planned.local, SOURCE, TARGET)
    close(trajectory.x[-1], x_s)
    close(z, x_t)
    plain = edited(model, cross_until=0.0, self_until=0.0)[1]
    assert float((plain - z).abs().max() / plain.abs().max()) > 1e-3, "the edit of this test does nothing"


def test_the_same_prompt_gives_the_source_exactly(model):
    T = len(model.tokenized(SOURCE).ids)
    for until in ((N, N), (N, 0), (0, N), (0, 0)):
        alpha = torch.ones(N, T) * (torch.arange(N) < until[0])[:, None]
        control = Control(torch.eye(T), alpha, torch.ones(T), True, until[1])
        trajectory, z = run(model, control, None, SOURCE, SOURCE, (1, 2))
        if until == (N, 0):  # two softmaxes, of which each gives its part
            close(z, trajectory.x[-1])
        else:
            assert torch.equal(z, trajectory.x[-1]), until


@pytest.mark.parametrize("asked", [EDITS["values"], EDITS["local blend"]], ids=["values", "blend"])
def test_what_is_recorded_gives_the_same_bytes_and_so_does_a_batch(model, asked):
    features = Features(limit=1 << 30)
    trajectory, z = edited(model, features=features, **asked)
    assert len(trajectory.x) == N + 1
    again = edited(model, features=features, known=trajectory, **asked)[1]
    assert torch.equal(again, z)
    close(edited(model, seeds=(2,), **asked)[1], z[1:])


def test_a_source_recorded_for_one_edit_serves_another(model):
    features, known = Features(limit=1 << 30), None
    for asked in EDITS.values():
        fresh = edited(model, **asked)[1]
        known, kept = edited(model, features=features, known=known, **asked)
        assert torch.equal(fresh, kept)


@torch.inference_mode()
def test_word_maps_are_the_texts_columns(model):
    z0 = noise.standard_normal([3], (4, 6, 10))
    n = [noise.standard_normal([4], (4, 6, 10))]
    groups = torch.zeros(len(model.tokenized(SOURCE).ids), 2)
    groups[1, 0] = groups[2, 1] = 1.0
    crossed, selves = [], []

    def look(place, q, k, v):
        M = softmax(q, k)
        (a, b), (c, _) = place.image, place.text
        if model.joint_blocks.reads(place.name):
            crossed.append((M[0, :, a:b, c : c + len(groups)] @ groups).mean(0))
            selves.append(softmax(q[0, :, a:b], k[0, :, a:b]).mean(0))
        return M @ v

    denoise(model, z0 + 1.5 * n[0], 1.5, model.encode_prompt(SOURCE), look)
    expected = torch.stack(selves).mean(0) @ torch.stack(crossed).mean(0)
    maps = word_maps(model, z0, model.encode_prompt(SOURCE), groups, 1.5, n, lambda _: None, refine=1)
    close(maps, expected.T.unflatten(-1, (3, 5)))


def test_it_names_words_of_the_prompt(model):
    changed = planned_for(model, local_blend=True)
    assert changed.local is not None
    assert changed.local.words.target[:, 0].nonzero().flatten().tolist() == [2, 3]
