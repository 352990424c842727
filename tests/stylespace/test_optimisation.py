"""StyleCLIP's optimisation against the published loop, written out; stops and resumptions."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from tests.stylespace.toys import Linear, Looks
from velatura.cache import values
from velatura.stylespace.clip_losses import d_clip
from velatura.stylespace.optimisation import Settings, optimise, rate_at

SETTINGS = Settings(steps=12, rate=0.1, hold=0.008, likeness=0.5)


def ignored(i, w):
    pass


def published(model, clip, R, ws, text, settings):
    w = ws.clone().requires_grad_()
    adam = torch.optim.Adam([w], lr=settings.rate)
    picture = model.synthesise(model.styles(ws)).pictures
    for i in range(settings.steps):
        t = i / settings.steps
        ramp = min(1, (1 - t) / 0.25)
        ramp = (0.5 - 0.5 * math.cos(ramp * math.pi)) * min(1, t / 0.05)
        adam.param_groups[0]["lr"] = settings.rate * ramp
        made = model.synthesise(model.styles(w)).pictures
        seen = ((made + 1) / 2).flatten(1)
        c_loss = 1 - F.cosine_similarity(seen @ clip.A, text[None])
        i_loss = 1 - F.cosine_similarity(seen @ R.A, ((picture + 1) / 2).flatten(1) @ R.A)
        l2_loss = ((ws - w) ** 2).sum()
        loss = c_loss + settings.hold * l2_loss + settings.likeness * i_loss
        adam.zero_grad()
        loss.sum().backward()
        adam.step()
    return w.detach()


def test_it_is_the_published_loop():
    model, clip, R = Linear(), Looks(), Looks(seed=3)
    ws, text = model.wplus(model.sample([4])).clone(), clip.text("a beard")
    found = optimise(model, ws, d_clip(clip, text), R, SETTINGS, [], ignored)
    expected = published(model, clip, R, ws, text, SETTINGS)
    assert (expected - ws).abs().max() > 0.3
    torch.testing.assert_close(found, expected)


def test_without_weight_the_recogniser_is_not_asked():
    model, clip = Linear(), Looks()
    ws = model.wplus(model.sample([4]))
    settings = Settings(3, 0.1, 0.0, 0.0)
    optimise(model, ws, d_clip(clip, clip.text("a beard")), None, settings, [], ignored)


def test_it_can_be_called_where_methods_run():
    model, clip = Linear(), Looks()
    with torch.inference_mode():
        ws = model.wplus(model.sample([4]))
        w = optimise(model, ws, d_clip(clip, clip.text("a beard").clone()), clip, SETTINGS, [], ignored)
    assert not torch.equal(w, ws)


@pytest.mark.parametrize("stop", [1, 7])
def test_one_that_is_stopped_and_resumed_gives_the_same_bytes(stop):
    model, clip = Linear(), Looks()
    ws, text = model.wplus(model.sample([4])), clip.text("a beard")
    whole = optimise(model, ws, d_clip(clip, text, 3), clip, SETTINGS, [], ignored)

    def stopping(i, w):
        if i == stop:
            raise KeyboardInterrupt

    begun = []
    with pytest.raises(KeyboardInterrupt):
        optimise(model, ws, d_clip(clip, text, 3), clip, SETTINGS, begun, stopping)
    begun = values.unpack("k", values.pack("k", begun))  # as after a restart
    model.calls, steps = 0, []
    again = optimise(model, ws, d_clip(clip, text, 3), clip, SETTINGS, begun, lambda i, w: steps.append(i))
    assert torch.equal(again, whole)
    assert steps == list(range(stop + 1, 13)) and model.calls == 13 - stop


def test_the_rate_rises_in_the_first_twentieth_and_falls_in_the_last_quarter():
    assert [rate_at(t, 2.0) for t in (0.0, 0.025, 0.05, 0.5, 0.75)] == pytest.approx(
        [0.0, 1.0, 2.0, 2.0, 2.0]
    )
    assert rate_at(0.875, 2.0) == pytest.approx(1.0) and rate_at(1.0, 2.0) == pytest.approx(0.0)
