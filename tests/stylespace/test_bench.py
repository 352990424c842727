"""`velatura bench faces` measures what it says; whether the goals are met is no matter of a test."""

from __future__ import annotations

import json
import math

import pytest
import torch

from tests.tiny import tiny_clip
from tests.tiny_styles import tiny_model, tiny_styles
from velatura.clip_guidance.loss import wanted
from velatura.companions.clip import load_encoder
from velatura_lab.bench import faces, published
from velatura_protocol.errors import VelaturaError

CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """A daemon's folder with a tiny generator that has a CLIP."""
    folder = tmp_path_factory.mktemp("bench")
    companions = {"clip": str(tiny_clip(folder / "clip"))}
    entry = {"id": "styles", "title": "Styles", "path": str(tiny_styles(folder / "styles")), **companions}
    (folder / "state").mkdir()
    (folder / "state" / "models.json").write_text(json.dumps([entry]))
    return folder / "state"


@pytest.fixture(scope="module")
def face(tmp_path_factory):
    clip = load_encoder(str(tiny_clip(tmp_path_factory.mktemp("clip"))), CPU, torch.float32)
    return faces.Faces(tiny_model(), clip, None, 3)


def test_the_figures_are_whole(state, capsys):
    asked = [
        "--model",
        "styles",
        "--state-dir",
        str(state),
        "--steps",
        "2",
        "--repeat",
        "1",
        "--device",
        "cpu",
    ]
    assert faces.main([*asked, "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    assert figures["steps"] == 2 and figures["size"] == 32
    for name in ("seconds", "processor_seconds", "ratios", "peak_mib"):
        assert min(figures[name].values()) > 0
    assert figures["seconds"].keys() >= {"direction", "mapper", "vector", "encode", "optimise", "published"}
    assert faces.main(asked) == 0
    assert "the published optimisation, 2 steps" in capsys.readouterr().out


def test_a_model_of_another_kind_is_refused():
    with pytest.raises(VelaturaError, match="no style-based generator"):
        faces.main(["--model", "velatura-vq", "--device", "cpu"])


def test_dials_move_the_picture_and_leave_the_model(face):
    plain = face.plain()
    for kinds in (("direction",), ("vector",), ("mapper",), ("direction", "vector", "mapper")):
        assert not torch.allclose(face.moved(*kinds), plain, atol=1e-3)
    assert torch.equal(face.plain(), plain) and torch.allclose(
        face.moved().clamp(-1.0, 1.0), plain, atol=1e-5
    )


def test_the_published_loop_is_that_of_the_paper_and_changes_no_weight(face):
    """Two steps of Adam on the loss, written with a gradient by finite differences along one direction."""
    before = face.plain()
    n = 2
    led = face.published(n)
    assert torch.equal(face.plain(), before) and led.shape == face.ws.shape
    # the first step has a rate of 0, the second moves each element by its rate against the gradient's sign
    moved = (led - face.ws).abs()
    rate = faces.optimisation.rate_at(0.5, faces.SETTINGS.rate)
    assert math.isclose(float(moved.max()), rate, rel_tol=0.3)

    def distance(ws):
        with torch.no_grad():
            pictures = face.model.synthesise(face.model.styles(ws)).pictures
            return float(1.0 - face.clip.images((pictures + 1.0) / 2.0) @ wanted(face.clip, faces.TEXT))

    assert distance(led) < distance(face.ws)


@pytest.mark.parametrize("latents", [False, True])
def test_the_published_networks_make_the_same_pictures(latents):
    model = tiny_model(latents=latents)
    plain = published.Plain(model.loaded)
    ws = (model.wplus(model.sample([1, 2])) + 0.1 * torch.randn(2, model.num_ws, model.w_dim)).clone()
    ws.requires_grad_()
    pictures = plain(ws)
    expected = model.synthesise(model.styles(ws)).pictures
    torch.testing.assert_close(pictures, expected, rtol=1e-5, atol=1e-5)
    (pictures - 0.5).square().sum().backward()
    weights = dict(plain.synthesis.named_parameters())
    assert all(weight.grad is not None for weight in weights.values())
    assert all(weight.grad is None for weight in model.loaded.generator.parameters())


def test_ours_leads_the_same_way(face):
    ours, published = (run(3) - face.ws for run in (face.ours, face.published))
    assert float(torch.nn.functional.cosine_similarity(ours.flatten(), published.flatten(), dim=0)) > 0.5
