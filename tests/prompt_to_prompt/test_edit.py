"""The loop against a reference that builds its maps, and against what the paper says must hold."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import pytest
import torch

from tests.prompt_to_prompt import reference
from velatura.diffusion import schedule
from velatura.diffusion.condition import Condition, cat
from velatura.diffusion.denoiser import denoise, guide
from velatura.inversion import ddim
from velatura.inversion.trajectory import Trajectory, step
from velatura.prompt_to_prompt.control import Branch, Control, Words, self_
from velatura.prompt_to_prompt.edit import Conditions, edit
from velatura.prompt_to_prompt.features import Features
from velatura.prompt_to_prompt.local import LocalBlend

N, T = 5, 12
GUIDANCE = 3.0


@pytest.fixture(params=[(8, 8), (12, 6), (7, 10)], ids=str)
def size(request):
    return request.param


def conditions(seed=0, length=T):
    rows = torch.randn(3, 1, length, 64, generator=torch.Generator().manual_seed(seed))
    return Conditions(*map(Condition, rows))


def states(told):
    """The hidden states of each branch, as the reference takes them."""
    return [told.source.states, told.target.states, told.negative.states]


def start(size, B=2, seed=1):
    return torch.randn(B, 4, *size, generator=torch.Generator().manual_seed(seed))


def shuffled(seed=2):
    """An alignment that maps, splits and joins tokens, and leaves some to themselves."""
    A = torch.eye(T)
    A[3:6, 3:6] = 0.0
    A[3, 3], A[4, 4:6], A[5, 3] = 1.0, 0.5, 1.0
    A[:, 8] = 0.0
    alpha = torch.ones(T)
    alpha[8] = 0.0
    return A, alpha


def windows(alpha, steps):
    """alpha_ij: token j is taken from the source in its first `steps` steps."""
    return torch.stack([alpha * (i < steps) for i in range(N)])


def ours(model, size, control, conditions, **more):
    """Source and target from one noise, in the project's loop; both clean."""
    sigmas = schedule.sigmas(model.training_sigmas, N)
    x = start(size)
    trajectory = Trajectory([*sigmas], [x * (1.0 + sigmas[0] ** 2) ** 0.5])
    with torch.inference_mode():
        target = edit(
            model, trajectory, conditions, control, guidance=GUIDANCE, after_step=lambda step: None, **more
        )
    return trajectory, target


def theirs(model, size, asked, conditions):
    sigmas = schedule.sigmas(model.training_sigmas, N)
    alphas = 1.0 / (1.0 + model.training_sigmas**2)
    times = [round(schedule.time(model.training_sigmas, sigma)) for sigma in sigmas[:-1]]
    return reference.run(model.unet, alphas, times, start(size), *states(conditions), GUIDANCE, asked)


def assert_close(a, b):
    """At most 1e-5 of the reference's own size."""
    assert float((a - b).abs().max() / b.abs().max()) < 1e-5


EDITS = {
    "nothing": {},
    "swap": {"cross": 4},
    "self": {"self_steps": 3, "self_share": 1.0},
    "self, coarse places": {"self_steps": 4, "self_share": 0.25},
    "weights": {"weights": {2: 3.0, 5: -2.0}},
    "weights, renormalised": {"weights": {2: 3.0, 5: -2.0, 7: 0.0}, "renormalise": True},
    "values": {"value_steps": 2, "value_share": 0.7, "self_share": 1.0},
    "values and self": {"value_steps": 3, "value_share": 0.4, "self_steps": 2, "self_share": 1.0},
    "local blend": {"cross": 2, "blend": {"k": 0.8, "start": 1, "keep": False}},
    "everything": {
        "cross": 3,
        "self_steps": 2,
        "self_share": 1.0,
        "value_steps": 1,
        "value_share": 0.5,
        "weights": {2: 2.0, 4: 0.0},
        "renormalise": True,
        "blend": {"k": 0.85, "start": 2, "keep": True},
    },
    "windows of words": {"cross": 4, "own": {2: 1, 3: 0}, "weights": {3: 2.0}},
}


@pytest.mark.parametrize("asked", EDITS.values(), ids=EDITS.keys())
def test_equals_the_reference_with_explicit_maps(sharp, size, asked):
    asked = dict(asked)
    A, alpha = shuffled()
    steps = alpha * asked.pop("cross", 0)
    for token, own in asked.pop("own", {}).items():
        steps[token] = own
    weights = torch.ones(T)
    for token, weight in asked.pop("weights", {}).items():
        weights[token] = weight
    blend = asked.pop("blend", None)
    told = conditions()
    control = Control(
        A, torch.stack([(i < steps).float() for i in range(N)]), weights, **{"renormalise": False, **asked}
    )
    plain = reference.Edit(A, steps, weights, **asked)
    local = None
    if blend is not None:
        kept = [[6], [7]] if blend["keep"] else [[], []]
        groups = {"source": [3, 4], "target": [3, 4, 5], "keep_source": kept[0], "keep_target": kept[1]}
        words = [torch.zeros(T, 2), torch.zeros(T, 2)]
        for prompt, name in enumerate(("source", "target")):
            words[prompt][groups[name], 0] = 1.0
            words[prompt][groups[f"keep_{name}"], 1] = 1.0
        local = LocalBlend(Words(*words), blend["k"], blend["start"])
        plain.blend = {**groups, **blend, "grid": size}
    trajectory, target = ours(sharp, size, control, told, local=local)
    x_s, x_t = theirs(sharp, size, plain, told)
    assert_close(trajectory.x[-1], x_s)
    assert_close(target, x_t)
    if blend is not None:
        same = (x_s == x_t).float().mean()
        assert 0.02 < same < 0.98, "the mask of this test says nothing"
    elif asked or steps.any():
        untouched = theirs(sharp, size, reference.Edit(A, torch.zeros(T), torch.ones(T)), told)[1]
        assert float((untouched - x_t).abs().max() / x_t.abs().max()) > 1e-3, (
            "the edit of this test does nothing"
        )


def whole():
    return Control(torch.eye(T), torch.ones(N, T), torch.ones(T), True, N, 1.0)


def test_the_same_prompt_injected_whole_gives_the_source_exactly(sharp, size):
    told = conditions()
    told = dataclasses.replace(told, target=told.source)
    trajectory, target = ours(sharp, size, whole(), told)
    assert torch.equal(target, trajectory.x[-1])


def test_a_new_picture_is_known_when_its_last_step_is_done(sharp, size):
    sigmas = schedule.sigmas(sharp.training_sigmas, N)
    trajectory = Trajectory([*sigmas], [start(size) * (1.0 + sigmas[0] ** 2) ** 0.5])
    seen = []
    with torch.inference_mode():
        edit(
            sharp,
            trajectory,
            conditions(),
            whole(),
            guidance=GUIDANCE,
            after_step=lambda step: seen.append((len(trajectory.x), trajectory.z0 is not None)),
        )
    assert seen == [(i + 2, i + 1 == N) for i in range(N)]


def test_injected_values_have_to_be_there():
    q = torch.randn(1, 1, 4, 8)
    control = dataclasses.replace(whole(), value_steps=1, value_share=0.5)
    with pytest.raises(ValueError, match="missing"):
        self_(control, 0, Branch(q, q, None), Branch(q, q, q))


def test_the_same_prompt_gives_the_source_without_injection_too(sharp, size):
    told = conditions()
    told = dataclasses.replace(told, target=told.source)
    free = Control(torch.eye(T), torch.zeros(N, T), torch.ones(T))
    trajectory, target = ours(sharp, size, free, told)
    assert_close(target, trajectory.x[-1])


class Weighed(Control):
    """Goes the way of weights even where all of them are 1."""

    weighs = True


@pytest.mark.parametrize("renormalise", [True, False])
def test_weight_one_changes_nothing(sharp, size, renormalise):
    A, alpha = shuffled()
    given = A, windows(alpha, 3), torch.ones(T), renormalise, 2, 1.0
    plain, weighed = Control(*given), Weighed(*given)
    for control in (plain, weighed):
        assert control.mix(0, None, A).renormalises == (control is weighed and renormalise)
    assert_close(ours(sharp, size, weighed, conditions())[1], ours(sharp, size, plain, conditions())[1])


def test_of_a_direct_inversion_the_source_is_exact_and_the_same_prompt_is_not(sharp, size):
    """Ju et al. 2024, algorithm 1: the offset is the source's alone. The target without injection is plain
    sampling from the inverted noise; with all of it, it is not the source either."""
    told = dataclasses.replace(conditions(), target=conditions().source)
    sigmas = list(schedule.sigmas(sharp.training_sigmas, N))
    free = Control(torch.eye(T), torch.zeros(N, T), torch.ones(T))
    z0 = start(size)
    with torch.inference_mode():
        trajectory = ddim.direct(sharp, z0, told.source, sigmas)
        target, injected = (
            edit(sharp, trajectory, told, control, guidance=GUIDANCE, after_step=lambda step: None)
            for control in (free, whole())
        )
        x = trajectory.x[0]
        for sigma, sigma_next in pairwise(sigmas):
            c = cat([told.source.expand(len(x)), told.negative.expand(len(x))])
            D_c, D_u = denoise(sharp, torch.cat([x, x]), sigma, c).chunk(2)
            x = step(x, guide(sharp, x, sigma, D_c, D_u, GUIDANCE), sigma, sigma_next)
    assert torch.equal(trajectory.x[-1], z0)
    assert_close(target, x)
    for given in (target, injected):
        assert float((given - z0).abs().max() / z0.abs().max()) > 1e-2


def test_renormalised_weights_that_are_all_equal_change_nothing(sharp, size):
    A, alpha = shuffled()
    control = Control(A, windows(alpha, 3), torch.ones(T), True, 2, 1.0)
    doubled = dataclasses.replace(control, weights=torch.full((T,), 2.0))
    assert_close(ours(sharp, size, doubled, conditions())[1], ours(sharp, size, control, conditions())[1])


def everything(told_words=True):
    A, alpha = shuffled()
    weights = torch.ones(T)
    weights[2] = 2.0
    control = Control(A, windows(alpha, 3), weights, True, 2, 1.0, 1, 0.5)
    words = torch.zeros(T, 2)
    words[3:5, 0] = 1.0
    return control, LocalBlend(Words(words, words), 0.5, 1)


def test_what_was_recorded_gives_the_same_edit_without_the_source(sharp, size, monkeypatch):
    control, local = everything()
    features = Features(limit=1 << 30)
    trajectory, first = ours(sharp, size, control, conditions(), local=local, features=features)
    assert features.nbytes == sum(
        x.nbytes for branch in features.branches.values() for x in branch if x is not None
    )
    rows = []
    network = type(sharp).network

    def counted(self, x, *args, **more):
        rows.append(len(x))
        return network(self, x, *args, **more)

    monkeypatch.setattr(type(sharp), "network", counted)
    with torch.inference_mode():
        second = edit(
            sharp, trajectory, conditions(), control, guidance=GUIDANCE, after_step=lambda step: None,
            local=local, features=features,
        )  # fmt: skip
    assert rows == [4] * N  # two variations: unconditional and conditional, no source
    assert_close(second, first)


def test_features_beyond_their_limit_are_not_kept_and_not_missed(sharp, size):
    control, local = everything()
    plenty, little = Features(1 << 30), Features(200_000)
    _, a = ours(sharp, size, control, conditions(), local=local, features=plenty)
    trajectory, b = ours(sharp, size, control, conditions(), local=local, features=little)
    assert torch.equal(a, b)
    assert 0 < len(little.had) < N
    with torch.inference_mode():
        again = edit(
            sharp, trajectory, conditions(), control, guidance=GUIDANCE, after_step=lambda step: None,
            local=local, features=little,
        )  # fmt: skip
    assert_close(again, a)


def test_outside_the_selection_the_source_stays_bitwise(sharp, size):
    control, local = everything()
    m = torch.zeros(1, 1, *size)
    m[..., : size[0] // 2, :] = 1.0
    trajectory, target = ours(sharp, size, control, conditions(), local=local, m_latent=m)
    kept = (m == 0).expand_as(target)
    assert torch.equal(target[kept], trajectory.x[-1][kept])
    assert not torch.equal(target[~kept], trajectory.x[-1][~kept])


def test_a_fault_in_a_step_leaves_nothing_behind(sharp):
    """What an edit does at the attentions is an argument of its calls: the next call is plain."""
    x, c = start((8, 8)), conditions().source.expand(2)
    plain = sharp.network(x, 100.0, c)

    def stop(step):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trajectory = Trajectory([1.0, 0.0], [start((8, 8)), None])
        control = Control(torch.eye(T), torch.ones(1, T), torch.ones(T))
        edit(sharp, trajectory, conditions(), control, guidance=1.0, after_step=stop)
    assert sharp.network(x, 100.0, c).equal(plain)
