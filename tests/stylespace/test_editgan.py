"""The mathematics of EditGAN on a tiny generator: its loss as a formula, its gradient, its resumption."""

import pytest
import torch

from tests.tiny_styles import tiny_model
from velatura.generators.styles import Made
from velatura.stylespace import editgan, replacing
from velatura.stylespace.editgan import Settings
from velatura.stylespace.frames import Frame
from velatura_protocol.errors import VelaturaError


@pytest.fixture(scope="module", params=[False, True], ids=["pictures", "latents"])
def model(request):
    return tiny_model(latents=request.param)


def code(model, seed=1):
    return model.wplus(model.sample([seed])).clone()


def repainted(y, k=2):
    """A square of another part in the middle."""
    y_edited = y.clone()
    half = y.shape[-1] // 2
    y_edited[:, half - 4 : half + 4, half - 4 : half + 4] = k
    return y_edited


def test_the_region_is_what_changed_and_so_many_pixels_around_it():
    y = torch.zeros(1, 16, 16, dtype=torch.int64)
    y_edited = y.clone()
    y_edited[0, 5:7, 8] = 3
    for reach in (0, 1, 3):
        r = editgan.region(y, y_edited, reach)[0, 0]
        expected = torch.zeros(16, 16, dtype=torch.bool)
        expected[5 - reach : 7 + reach, 8 - reach : 9 + reach] = True
        assert torch.equal(r, expected)


def test_the_loss_is_its_formula(model):
    ws = code(model)
    with torch.no_grad():
        source = model.synthesise(model.styles(ws))
        made = model.synthesise(model.styles(ws + 0.3 * torch.randn_like(ws)))
        y = editgan.labels(model, ws)
        y_edited = repainted(y)
        r = editgan.region(y, y_edited, 2)
        settings = Settings(parts=0.7, pixels=3.0, features=2.0, identity=0.4)
        identity = lambda x: torch.nn.functional.normalize(x.mean((2, 3)), dim=1)  # noqa: E731
        value = editgan.loss(model, made, source, y_edited, r, settings, identity)

        p = model.segment(made).softmax(1)[0]
        side = model.size
        inside = [(i, j) for i in range(side) for j in range(side) if r[0, 0, i, j]]
        free = [(i, j) for i in range(side) for j in range(side) if not r[0, 0, i, j]]
        entropy = -sum(p[y_edited[0, i, j], i, j].log() for i, j in inside) / len(inside)
        x, x0 = made.pictures[0], source.pictures[0]
        pixels = sum((x[:, i, j] - x0[:, i, j]).square().mean() for i, j in free) / len(free)
        blocks = []
        for f, f0 in zip(made.features, source.features, strict=True):
            n = f.shape[-1]
            k = side // n
            cells = [
                (i, j)
                for i in range(n)
                for j in range(n)
                if not r[0, 0, i * k : (i + 1) * k, j * k : (j + 1) * k].any()
            ]
            unit = lambda v: v / v.norm()  # noqa: E731
            d = [(unit(f[0, :, i, j]) - unit(f0[0, :, i, j])).square().sum() for i, j in cells]
            blocks.append(sum(d) / max(len(d), 1))
        a, b = identity(made.pictures)[0], identity(source.pictures)[0]
        expected = 0.7 * entropy + 3.0 * pixels + 2.0 * sum(blocks) / len(blocks) + 0.4 * (1 - a @ b)
    assert torch.allclose(value, torch.as_tensor(expected), rtol=1e-5)


def test_nothing_outside_is_held_where_the_region_is_everything():
    r = torch.ones(1, 1, 8, 8, dtype=torch.bool)
    assert editgan.outside(torch.rand(1, 8, 8), r) == 0.0
    assert editgan.outside(torch.rand(1, 4, 4), r) == 0.0


@pytest.mark.parametrize("term", ["parts", "pixels", "features"])
def test_the_gradient_of_each_term_reaches_wplus(model, term):
    ws = code(model)
    y_edited = repainted(editgan.labels(model, ws))
    r = editgan.region(editgan.labels(model, ws), y_edited, 0)
    with torch.no_grad():
        source = model.synthesise(model.styles(ws))
    x = (ws + 0.1).requires_grad_()
    weights = {"parts": 0.0, "pixels": 0.0, "features": 0.0} | {term: 1.0}
    value = editgan.loss(model, model.synthesise(model.styles(x)), source, y_edited, r, Settings(**weights))
    (gradient,) = torch.autograd.grad(value, x)
    rows = slice(0, -1) if term == "features" else slice(None)  # the last layer gives colours only
    assert (gradient[:, rows].abs().amax(-1) > 0).all()


def test_an_edit_fits_the_parts_and_holds_the_rest(model):
    ws = code(model)
    y = editgan.labels(model, ws)
    y_edited = repainted(y, int((y[0, model.size // 2, model.size // 2] + 1) % 4))
    r = editgan.region(y, y_edited, 3)

    def after(settings):
        delta = editgan.edit_vector(model, ws, y, y_edited, settings, [], lambda *_: None)
        with torch.no_grad():
            made, source = (model.synthesise(model.styles(w)) for w in (ws + delta, ws))
            entropy = torch.nn.functional.cross_entropy(model.segment(made), y_edited, reduction="none")
            moved = editgan.outside((made.pictures - source.pictures).square().mean(1), r)
            return float(entropy[r[:, 0]].mean()), float(moved)

    before = after(Settings(steps=0))
    free = after(Settings(steps=25, rate=0.05, pixels=0.0, features=0.0))
    held = after(Settings(steps=25, rate=0.05, pixels=50.0, features=10.0))
    assert free[0] < before[0] - 0.01 and held[0] < before[0]
    assert 0.0 < held[1] < 0.5 * free[1]


def test_a_stopped_edit_resumes_to_the_same_bytes(model):
    ws = code(model)
    y = editgan.labels(model, ws)
    arguments = (model, ws, y, repainted(y), Settings(steps=7))
    whole = editgan.edit_vector(*arguments, [], lambda *_: None)
    begun, seen = [], []

    def after_step(i, delta):
        seen.append(i)
        if i in (1, 4) and seen.count(i) == 1:
            raise InterruptedError

    for _ in range(2):
        with pytest.raises(InterruptedError):
            editgan.edit_vector(*arguments, begun, after_step)
    again = editgan.edit_vector(*arguments, begun, after_step)
    assert seen == list(range(1, 8))
    assert torch.equal(again, whole)


def test_it_works_in_inference_mode_and_leaves_the_code_as_it_is(model):
    ws = code(model)
    before = ws.clone()
    with torch.inference_mode():
        y = editgan.labels(model, ws)
        delta = editgan.edit_vector(model, ws, y, repainted(y), Settings(steps=2), [], lambda *_: None)
    assert torch.equal(ws, before) and delta.shape == ws.shape
    assert (delta != 0).any() and not delta.is_inference()


def test_a_generator_without_parts_is_refused():
    model = tiny_model(segmentation=False)
    with pytest.raises(VelaturaError, match="does not know the parts") as refused:
        editgan.labels(model, code(model))
    assert refused.value.code == "unknown-model"
    assert isinstance(model.synthesise(model.styles(code(model))), Made)


def test_the_layer_shows_the_edit_where_it_was_repainted_and_its_own_detail_elsewhere():
    torch.manual_seed(0)
    picture, unedited = torch.rand(1, 3, 40, 40), torch.rand(1, 3, 40, 40)
    change = torch.full_like(unedited, 0.1)
    y = torch.zeros(1, 40, 40, dtype=torch.int64)
    y_edited = y.clone()
    y_edited[0, 10:20, 10:20] = 1

    def shown(change, amount, near):
        parts = editgan.changes((picture, unedited), change, y, y_edited, amount, near)
        return replacing.laid_in(picture, Frame(0.0, 0.0, 40.0), unedited, *parts)

    out = shown(change, 1.0, False)
    assert torch.allclose(out[..., 11:19, 11:19], unedited[..., 11:19, 11:19] + 0.1)
    assert torch.allclose(out[..., 26:, 26:], picture[..., 26:, 26:] + 0.1)
    near = shown(change, 1.0, True)
    assert torch.allclose(near[..., 11:19, 11:19], unedited[..., 11:19, 11:19] + 0.1)
    assert torch.equal(near[..., 28:, :], picture[..., 28:, :])
    assert torch.equal(shown(0.0 * change, 0.0, False), picture)
