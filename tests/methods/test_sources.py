"""What an edit by words computes of its source, and what is known of it from before: counted in passes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from tests.methods.requests import Edit, Recorded, box, picture, pixels
from velatura.cache import keys
from velatura.cache.cache import Cache
from velatura.diffusion import schedule
from velatura.inversion import null_text
from velatura.methods.base import Cancelled
from velatura.methods.execute import execute
from velatura.prompt_to_prompt import source as sources

STEPS = 4
KINDS = ["direct", "ddim", "negative-prompt", "null-text", "edit-friendly"]
MASK = box(80, 100, (30, 60), (20, 70))


def cache(folder=None):
    return Cache(folder, memory=1 << 28, disk=1 << 26)


def run(models, kept, hooks=None, layer=0, **parameters):
    parameters = {"source_prompt": "a red hat", "steps": STEPS, "local_blend": False, **parameters}
    asked = Edit(
        picture(80, 100, seed=layer),
        MASK,
        method="prompt-to-prompt",
        prompt="a blue hat",
        parameters=parameters,
    )
    return execute(asked.request, asked.blobs.__getitem__, models, hooks or Recorded(), kept)[0]


def wanted(model, guidance=3.0, negative="", steps=STEPS):
    sigmas = schedule.sigmas(model.training_sigmas, steps)
    return sources.Wanted("a red hat", negative, sigmas, guidance)


def inverted(model, kept, kind, after_step=lambda i, n: None, **more):
    image = torch.linspace(-1, 1, 3 * 64 * 64).reshape(1, 3, 64, 64)
    with torch.inference_mode():
        return sources.inverted(model, kept, image, wanted(model, **more), kind, [7], after_step)


def tensors(trajectory):
    uncond = None if trajectory.uncond is None else [c.states for c in trajectory.uncond]
    lists = (trajectory.x, trajectory.residuals, uncond)
    return [x for xs in lists if xs is not None for x in xs if x is not None]


@pytest.fixture
def rows(models, monkeypatch):
    """The rows of every pass through the network, in order."""
    model, counted = models.get(), []
    network = type(model).network

    def count(self, x, *args, **more):
        counted.append(len(x))
        return network(self, x, *args, **more)

    monkeypatch.setattr(type(model), "network", count)
    return counted


SECOND = {
    ("direct", "guidance"): [2] * STEPS,  # the target, and what it is led away from
    ("direct", "negative_prompt"): [2] * STEPS,
    ("negative-prompt", "guidance"): [2] * STEPS,
    ("negative-prompt", "negative_prompt"): [2] * STEPS,
    ("edit-friendly", "guidance"): [2] * STEPS,
    ("edit-friendly", "negative_prompt"): [2] * STEPS + [3, 3, 2, 2],  # it is of what is led away from
    ("ddim", "guidance"): [4] * STEPS,  # the source's way is another, from the same noise
    ("ddim", "negative_prompt"): [4] * STEPS,
}


@pytest.mark.parametrize(("kind", "moved"), SECOND)
def test_what_moves_an_edit_computes_only_what_depends_on_it(models, rows, kind, moved):
    kept, other = cache(), {"guidance": 5.0} if moved == "guidance" else {"negative_prompt": "a cat"}
    run(models, kept, inversion=kind)
    rows.clear()
    second = run(models, kept, inversion=kind, **other)
    assert rows == SECOND[kind, moved]
    fresh = run(models, cache(), inversion=kind, **other)
    assert np.abs(pixels(second).astype(int) - pixels(fresh)).max() <= 1


@pytest.mark.parametrize("kind", ["ddim", "negative-prompt", "null-text"])
def test_inversions_share_the_inverted_latents_and_so_do_restarts(models, rows, tmp_path, kind):
    model, done = models.get(), []
    inverted(model, cache(tmp_path), "direct")
    rows.clear()
    inverted(model, cache(tmp_path), kind, lambda i, n: done.append((i, n)))
    if kind == "null-text":
        parts = null_text.parts(STEPS)
        assert (done[0], done[-1]) == ((STEPS + 1, parts), (parts, parts))
    else:
        assert rows == done == []


@pytest.mark.parametrize("kind", KINDS)
def test_the_model_s_rescaling_is_of_a_source_where_guidance_is(models, kind):
    model, kept = models.get(), cache()
    rescaled = replace(model, guidance_rescale=0.7)
    guided = kind in ("ddim", "null-text", "edit-friendly")
    names = {inverted(of, kept, kind).name for of in (model, rescaled)}
    assert len(names) == 1 + guided
    of_the_form = {inverted(of, kept, kind, guidance=1.0).name for of in (model, rescaled)}
    assert len(of_the_form) == 1 + (kind == "edit-friendly"), "its source has a guidance of its own"


def test_a_new_picture_is_of_its_guidance(models):
    model = models.get()

    def name(guidance=3.0, negative="", phi=0.0):
        told = wanted(model, guidance, negative)
        return sources.imagined(replace(model, guidance_rescale=phi), cache(), (4, 8, 8), told, [1]).name

    assert len({name(), name(5.0), name(negative="a cat"), name(phi=0.7)}) == 4
    assert name(1.0) == name(1.0, "a cat") == name(1.0, phi=0.7)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_kept_by_other_mathematics_is_made_anew(models, rows, tmp_path, monkeypatch, kind):
    inverted(models.get(), cache(tmp_path), kind)
    rows.clear()
    inverted(models.get(), cache(tmp_path), kind)
    assert rows == []
    monkeypatch.setattr(keys, "MATHEMATICS", keys.MATHEMATICS + 1)
    inverted(models.get(), cache(tmp_path), kind)
    assert len(rows) >= STEPS


class Stop(Exception):
    pass


@pytest.mark.parametrize("kind", ["direct", "ddim", "negative-prompt"])
@pytest.mark.parametrize("at", range(1, STEPS + 1))
def test_an_inversion_that_was_stopped_goes_on(models, rows, kind, at):
    whole = inverted(models.get(), cache(), kind)
    kept, done = cache(), []

    def stops(i, n):
        if i == at:
            raise Stop

    rows.clear()
    with pytest.raises(Stop):
        inverted(models.get(), kept, kind, stops)
    assert len(rows) == at
    resumed = inverted(models.get(), kept, kind, lambda i, n: done.append((i, n)))
    assert len(rows) == STEPS
    assert done == [(i, STEPS) for i in range(at + 1, STEPS + 1)]
    assert resumed.name == whole.name
    assert all(map(torch.equal, tensors(resumed.trajectory), tensors(whole.trajectory)))
    assert len(tensors(resumed.trajectory)) == len(tensors(whole.trajectory))


def test_fitted_embeddings_that_were_stopped_go_on(models, rows):
    """Whole steps are kept: what was fitted of a step is fitted again."""
    whole = inverted(models.get(), cache(), "null-text")
    kept, at, n = cache(), 0, null_text.parts(STEPS)
    begun = []
    while at < n:
        seen = []

        def stops(i, n, seen=seen, last=at + null_text.INNER + 1):
            seen.append(i)
            if i >= min(n, last):
                raise Stop

        with pytest.raises(Stop):
            inverted(models.get(), kept, "null-text", stops)
        begun.append(seen[0])
        at = seen[-1]
    assert begun == sorted(begun) and begun[-1] > n - 2 * null_text.INNER
    rows.clear()
    resumed = inverted(models.get(), kept, "null-text")
    assert rows == []
    assert all(map(torch.equal, tensors(resumed.trajectory), tensors(whole.trajectory)))


@pytest.mark.parametrize("kind", ["direct", "ddim", "negative-prompt"])
def test_sliding_that_stops_every_draft_gets_there(models, rows, kind):
    """Each draft is stopped after two passes; together they cost what one whole edit costs, and no more."""
    whole = run(models, cache(), inversion=kind)
    passes, kept = list(rows), cache()
    rows.clear()
    for _ in range(STEPS // 2):
        with pytest.raises(Cancelled):
            run(models, kept, Recorded(cancel_after=1), inversion=kind)
    last = run(models, kept, inversion=kind)
    assert rows == passes
    assert last.data == whole.data


@pytest.mark.parametrize("kind", ["direct", "null-text"])
def test_an_inversion_that_was_stopped_goes_on_after_a_restart(models, rows, tmp_path, kind):
    whole = inverted(models.get(), cache(), kind)
    passes = len(rows)

    def stops(i, n):
        if i == n - 1:
            raise Stop

    rows.clear()
    with pytest.raises(Stop):
        inverted(models.get(), cache(tmp_path), kind, stops)
    before = len(rows)
    rows.clear()
    resumed = inverted(models.get(), cache(tmp_path), kind)
    assert 0 < len(rows) <= passes / 2 and before + len(rows) >= passes
    assert all(map(torch.equal, tensors(resumed.trajectory), tensors(whole.trajectory)))


class Watched(Recorded):
    """Notes how many bytes there are."""

    def __init__(self, kept):
        super().__init__()
        self.kept, self.peak = kept, 0

    def progress(self, *said):
        super().progress(*said)
        self.peak = max(self.peak, self.kept.nbytes)


def test_another_layer_s_features_make_room_while_they_are_recorded(models):
    plenty = cache()
    run(models, plenty)
    one = plenty.nbytes
    kept = Cache(memory=one * 3 // 2)
    for layer in range(3):
        hooks = Watched(kept)
        run(models, kept, hooks, layer=layer)
        assert one <= hooks.peak <= one * 3 // 2
