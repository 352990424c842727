"""A loaded style-based generator: its spaces, its random pictures, and its weights for one picture."""

from __future__ import annotations

import pytest
import torch

from tests.tiny_styles import PARTS, tiny_model, tiny_parts, tiny_styles
from velatura.generators.styles import STYLE
from velatura.models import catalogue
from velatura.models.store import ModelStore
from velatura_protocol.errors import VelaturaError

pytestmark = pytest.mark.timeout(120)
BOTH = pytest.mark.parametrize("latents", [False, True])


@BOTH
def test_a_folder_is_recognised_and_loaded(tmp_path, latents):
    folder = tiny_styles(tmp_path / "styles", latents=latents)
    entry = catalogue.add(tmp_path / "state", "mine", str(folder))
    assert (entry.kind, entry.generator, entry.size, entry.fault) == (STYLE, STYLE, 32, "")
    model = ModelStore(lambda: catalogue.entries(tmp_path / "state")).get("mine")
    assert (model.kind, model.size, model.multiple, model.factor) == (STYLE, 32, 1, 1)
    assert model.parts == PARTS and model.has_encoder
    ws = model.wplus(model.sample([3]))
    assert torch.equal(model.decode(ws), tiny_model(latents=latents).decode(ws))


@BOTH
def test_the_code_of_a_seed_does_not_depend_on_the_batch(latents):
    model = tiny_model(latents=latents)
    many = model.sample(range(5), psi=0.6)
    assert torch.equal(many[3:4], model.sample([3], psi=0.6)) and many.shape == (5, model.w_dim)
    assert len({tuple(row.tolist()) for row in many}) == 5
    whole = model.sample(range(5))
    torch.testing.assert_close(many, model.w_avg + 0.6 * (whole - model.w_avg))
    torch.testing.assert_close(model.sample(range(5), psi=0.0), model.w_avg.expand(5, -1))


def test_random_labels_come_from_the_bank_and_classes_without_one():
    parts, model = tiny_parts(latents=True), tiny_model(latents=True)
    of_bank = parts.generator.mapping(None, parts.labels)
    for w in model.sample(range(8)):
        assert (of_bank - w).abs().amax(1).min() < 1e-5
    parts.labels = None
    classes = parts.generator.mapping(None, torch.eye(parts.shape.c_dim))
    bare = type(model)("bare", "bare", parts, torch.device("cpu"))
    for w in bare.sample(range(8)):
        assert (classes - w).abs().amax(1).min() < 1e-5


@BOTH
def test_s_has_a_gradient_to_the_code_and_makes_the_picture_and_its_parts(latents):
    model = tiny_model(latents=latents)
    ws = model.wplus(model.sample([1, 2])).clone().requires_grad_()
    styles = model.styles(ws)
    made = model.synthesise(styles)
    logits = model.segment(made)
    assert made.pictures.shape == (2, 3, 32, 32) and logits.shape == (2, len(PARTS), 32, 32)
    torch.testing.assert_close(made.pictures.detach().clamp(-1.0, 1.0), model.decode(ws.detach()))
    for result in (made.pictures.square().mean(), logits.square().mean()):
        (gradient,) = torch.autograd.grad(result, ws, retain_graph=True)
        assert gradient.abs().amax(2).gt(0).all()  # of every layer of every sample
    kinds = [name for name in range(len(styles)) if name not in model.convolutions]
    assert kinds == ([1, 4, 7] if latents else [1, 4, 7, 10])[: len(kinds)]
    assert len(styles) == len(kinds) + len(model.convolutions)


def test_latents_are_scaled_before_they_are_decoded():
    parts, model = tiny_parts(latents=True), tiny_model(latents=True)
    ws = model.wplus(model.sample([4]))
    with torch.no_grad():
        z = parts.generator.synthesis(parts.generator.synthesis.styles(ws)).picture
        z = z * parts.std[:, None, None] + parts.mean[:, None, None]
        expected = parts.decoder.decode(z).sample
        torch.testing.assert_close(model.synthesise(model.styles(ws)).pictures, expected)


def test_the_code_of_a_picture_is_the_encoders_offset_from_the_mean():
    parts, model = tiny_parts(), tiny_model()
    picture = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(5)) * 2.0 - 1.0
    with torch.no_grad():
        expected = parts.encoder.eval()(picture) + parts.generator.mapping.w_avg
    torch.testing.assert_close(model.encode(picture), expected)


def test_a_model_without_encoder_or_parts_says_so():
    model = tiny_model(encoder=False, segmentation=False)
    assert not model.has_encoder and model.parts == ()
    ws = model.wplus(model.sample([1]))
    with pytest.raises(VelaturaError, match="cannot read a picture; choose another model"):
        model.encode(model.decode(ws))
    with pytest.raises(VelaturaError, match="does not know the parts"):
        model.segment(model.synthesise(model.styles(ws)))


@BOTH
def test_a_tuned_copy_learns_one_picture_and_leaves_the_generator_as_it_was(latents):
    model = tiny_model(latents=latents)
    ws = model.wplus(model.sample([1]))
    before, styles = model.decode(ws), [s.clone() for s in model.styles(ws)]
    with torch.inference_mode():  # as a job runs
        tuned = model.tuned()
    target = model.decode(model.wplus(model.sample([2]))).clone()
    optimiser = torch.optim.Adam(tuned.parameters(), 0.02)
    losses = []
    for _ in range(30):
        loss = (tuned.synthesise(styles).pictures - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.5 * losses[0]
    assert torch.equal(model.decode(ws), before) and not torch.equal(tuned.decode(ws), before)
    assert all(torch.equal(a, b) for a, b in zip(tuned.styles(ws), styles, strict=True))  # S means the same
    assert (tuned.digest, tuned.kind, tuned.num_ws) == (model.digest, STYLE, model.num_ws)

    again = model.tuned()
    again.load_weights(tuned.weights())
    assert torch.equal(again.decode(ws), tuned.decode(ws))
    with pytest.raises(ValueError, match="another network"):
        tiny_model(size=16).tuned().load_weights(tuned.weights())


def test_float16_computes_in_float32_where_a_gradient_is_wanted():
    half, single = tiny_model(dtype=torch.float16), tiny_model()
    ws = half.wplus(half.sample([1])).clone().requires_grad_()
    for model in (half, single):
        loss = model.synthesise(model.styles(ws)).pictures.mul(1e-6).mean()
        (gradient,) = torch.autograd.grad(loss, ws)
        assert gradient.abs().max() > 0
    torch.testing.assert_close(half.decode(ws.detach()), single.decode(ws.detach()), atol=0.02, rtol=0.02)
    assert half.decode(ws.detach()).dtype == torch.float32
