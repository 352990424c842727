"""The latent mapper against a plain implementation, and its training."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from tests.stylespace.toys import Linear, Looks
from velatura.cache import values
from velatura.clip_guidance.augment import generators
from velatura.stylespace import mapper
from velatura.stylespace.clip_losses import d_clip

SETTINGS = mapper.Settings(steps=30, batch=3, rate=2.0, hold=0.8, likeness=0.1)


def ignored(i, tensors):
    pass


def plain(tensors, ws, split, levels):
    """M(w), row by row."""
    rows, first = [], 0
    for name, count in zip(("coarse", "medium", "fine"), split, strict=True):
        for row in range(first, first + count):
            x = ws[:, row]
            if name not in levels:
                rows.append(torch.zeros_like(x))
                continue
            x = x / torch.sqrt((x**2).mean(1, keepdim=True) + 1e-8)
            for i in range(4):
                weight = tensors[f"{name}.{i}.weight"] * (0.01 / math.sqrt(x.shape[1]))
                x = x @ weight.T + 0.01 * tensors[f"{name}.{i}.bias"]
                x = torch.where(x < 0, 0.2 * x, x) * math.sqrt(2)
            rows.append(x)
        first += count
    return torch.stack(rows, 1)


@pytest.mark.parametrize(
    ("num_ws", "split"),
    [(18, (4, 4, 10)), (16, (4, 4, 8)), (10, (2, 2, 6)), (6, (1, 1, 4)), (4, (1, 1, 2))],
)
def test_the_groups_are_the_published_four_four_and_ten_of_eighteen(num_ws, split):
    assert mapper.rows(num_ws) == split


@pytest.mark.parametrize("levels", [("coarse", "medium", "fine"), ("medium",)])
def test_it_is_a_normalised_row_and_four_scaled_layers(levels):
    torch.manual_seed(0)
    network = mapper.Mapper(18, 6, levels)
    for name, x in network.named_parameters():
        if name.endswith("bias"):
            x.data.normal_(std=10.0)
    ws = torch.randn(2, 18, 6)
    expected = plain(network.state_dict(), ws, (4, 4, 10), levels)
    torch.testing.assert_close(network(ws), expected)
    assert 0.3 < float(expected[:, 4:8].std()) < 3.0
    torch.testing.assert_close(mapper.mapper_of(network.state_dict())(ws), 0.1 * expected)


def test_other_tensors_are_refused():
    tensors = mapper.Mapper(6, 5).state_dict()
    with pytest.raises(ValueError, match="not the tensors of a mapper"):
        mapper.from_tensors({"split": tensors["split"]})
    with pytest.raises(ValueError, match="not the tensors of a mapper"):
        mapper.from_tensors({**tensors, "fine.0.weight": torch.zeros(3, 3)})


def test_its_training_is_adam_on_the_three_losses():
    model, clip, R = Linear(), Looks(), Looks(seed=3)
    text = clip.text("a beard")
    settings = mapper.Settings(steps=3, batch=2, rate=0.5, hold=0.8, likeness=0.1)
    found = mapper.train(model, d_clip(clip, text), R, settings, [], ignored)

    torch.manual_seed(mapper.SEED)
    network = mapper.Mapper(6, 5)
    adam = torch.optim.Adam(network.parameters())
    for i in range(3):
        ramp = 0.5 - 0.5 * math.cos(math.pi * min(1.0, (1 - i / 3) / 0.25))
        adam.param_groups[0]["lr"] = 0.5 * ramp * min(1.0, i / 3 / 0.05)
        ws = model.wplus(model.sample([mapper.SEED + 2 * i, mapper.SEED + 2 * i + 1], 0.7))
        w_hat = ws + 0.1 * network(ws)
        x, x_hat = (((model.synthesise(model.styles(w)).pictures + 1) / 2).flatten(1) for w in (ws, w_hat))
        loss_id = (1 - F.cosine_similarity(x_hat @ R.A, x @ R.A)).mean()
        loss_clip = (1 - F.cosine_similarity(x_hat @ clip.A, text[None])).mean()
        loss = 0.1 * loss_id + loss_clip + 0.8 * F.mse_loss(w_hat, ws)
        adam.zero_grad()
        loss.backward()
        adam.step()
    for name, x in network.state_dict().items():
        torch.testing.assert_close(found[name], x, rtol=1e-4, atol=1e-4)


def test_it_learns_to_move_codes_it_has_not_seen_and_does_the_same_again():
    model, clip = Linear(), Looks()
    distance = d_clip(clip, clip.text("a beard"))
    tensors = mapper.train(model, distance, clip, SETTINGS, [], ignored)
    ws = model.wplus(model.sample(range(20)))
    before, after = (
        float(distance(model.synthesise(model.styles(w)).pictures, generators(range(20))).mean())
        for w in (ws, ws + mapper.mapper_of(tensors)(ws))
    )
    assert after < before - 0.05
    again = mapper.train(model, distance, clip, SETTINGS, [], ignored)
    assert all(torch.equal(again[name], x) for name, x in tensors.items())


def test_a_training_that_is_stopped_and_resumed_gives_the_same_bytes():
    model, clip = Linear(), Looks()
    distance = d_clip(clip, clip.text("a beard"), 2)
    with torch.inference_mode():
        whole = mapper.train(model, distance, clip, SETTINGS, [], ignored)

    def stopping(i, tensors):
        if i == 11:
            raise KeyboardInterrupt

    begun = []
    with pytest.raises(KeyboardInterrupt):
        mapper.train(model, distance, clip, SETTINGS, begun, stopping)
    begun, steps = values.unpack("k", values.pack("k", begun)), []
    again = mapper.train(model, distance, clip, SETTINGS, begun, lambda i, t: steps.append(i))
    assert steps == list(range(12, 31))
    assert all(torch.equal(again[name], x) for name, x in whole.items())
