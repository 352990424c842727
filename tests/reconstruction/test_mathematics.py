"""The seam band, the membrane and the fits against their formulas."""

import pytest
import torch

from velatura.diffusion.blending import scribbled
from velatura.reconstruction.band import banded, ramp
from velatura.reconstruction.fitting import Target, fitted_latents, tuned_decoder
from velatura.reconstruction.membrane import poisson


def pictures(h, w, n=1, dtype=torch.float64):
    torch.manual_seed(3)
    return torch.rand(n, 3, h, w, dtype=dtype) * 2 - 1, torch.rand(1, 3, h, w, dtype=dtype) * 2 - 1


def blob(h, w):
    inside = torch.zeros(1, 1, h, w, dtype=torch.bool)
    inside[..., 5 : h - 4, 3 : w - 6] = True
    inside[..., 8:10, 7:9] = False  # a hole
    inside[..., 1, 1] = True  # a part of one pixel
    inside[..., h // 2 :, 4] = True  # as far as the picture's edge
    return inside


def neighbours(y, x, h, w):
    near = ((y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1))
    return [(a, b) for a, b in near if 0 <= a < h and 0 <= b < w]


@pytest.mark.parametrize("size", [(24, 31), (17, 20)])
def test_the_membrane_solves_equation_7_of_perez(size):
    """Against the dense system of the paper's equation 7, written out pixel by pixel."""
    h, w = size
    edited, source = pictures(h, w)
    inside = blob(h, w)
    f = poisson(edited, source, inside, tolerance=1e-12)
    places = [tuple(p) for p in inside[0, 0].nonzero().tolist()]
    index = {p: i for i, p in enumerate(places)}
    A = torch.zeros(len(places), len(places), dtype=torch.float64)
    b = torch.zeros(len(places), 3, dtype=torch.float64)
    for (y, x), i in index.items():
        for q in neighbours(y, x, h, w):
            A[i, i] += 1
            b[i] += edited[0, :, y, x] - edited[0, :, q[0], q[1]]  # v_pq
            if q in index:
                A[i, index[q]] -= 1
            else:
                b[i] += source[0, :, q[0], q[1]]
    expected = torch.linalg.solve(A, b)
    found = torch.stack([f[0, :, y, x] for y, x in places])
    assert torch.allclose(found, expected, atol=1e-8)
    assert torch.equal(f[(~inside).expand_as(f)], source[(~inside).expand_as(f)])


def test_a_membrane_of_an_edit_that_differs_by_a_constant_is_the_layer():
    _, source = pictures(40, 33, dtype=torch.float32)
    inside = blob(40, 33)
    assert torch.allclose(poisson(source + 0.3, source, inside), source, atol=1e-4)


def test_a_selection_of_everything_has_no_edge_and_a_picture_does_not_depend_on_its_batch():
    edited, source = pictures(20, 20, n=2, dtype=torch.float32)
    assert torch.equal(poisson(edited, source, torch.ones(1, 1, 20, 20, dtype=torch.bool)), edited)
    inside = blob(20, 20)
    both = poisson(edited, source, inside)
    assert torch.equal(both[1:], poisson(edited[1:], source, inside))


def test_the_band_rises_from_the_edge_and_leaves_the_middle_whole():
    edited, source = pictures(30, 30)
    m = torch.zeros(1, 1, 30, 30, dtype=torch.float64)
    m[..., 5:25, 0:20] = 1.0
    y = banded(edited, source, m, 4)
    weight = ((y - source) / (edited - source))[0, 0]
    assert torch.allclose(weight[5:11, 10], torch.tensor([0.125, 0.375, 0.625, 0.875, 1.0, 1.0]).double())
    assert torch.equal(y[..., 9:21, 0:16], edited[..., 9:21, 0:16])  # the picture's edge is no seam
    outside = (m == 0).expand_as(y)
    assert torch.equal(y[outside], source[outside])


def test_thin_parts_keep_the_whole_edit_in_their_middle():
    inside = torch.zeros(1, 1, 20, 20, dtype=torch.bool)
    inside[..., 3, :] = True
    inside[..., 10:13, :] = True
    r = ramp(inside, 6)[0, 0]
    assert r[3].tolist() == [1.0] * 20
    assert torch.allclose(r[10:13, 5], torch.tensor([1 / 3, 1.0, 1 / 3]))


def test_a_soft_selection_is_not_softened_twice():
    edited, source = pictures(20, 20)
    m = torch.zeros(1, 1, 20, 20, dtype=torch.float64)
    m[..., 2:18, 2:18] = 0.1
    y = banded(edited, source, m, 4)
    share = ((y - source) / (edited - source) * m)[0, 0, 2:6, 10]  # as laid over with m as alpha
    assert torch.allclose(share, torch.tensor([0.1, 0.1, 0.1, 0.1]).double())


class Linear:
    """A decoder whose picture is features times one weight for each channel."""

    def __init__(self):
        torch.manual_seed(1)
        self.weights = {"theta": torch.rand(3) + 0.5}

    def picture(self, z, weights):
        return z[:, :3] * weights["theta"][:, None, None]


def target(background=100.0):
    torch.manual_seed(5)
    edited, source = (torch.rand(1, 3, 8, 8) * 0.4 - 0.2 for _ in range(2))
    m = torch.zeros(1, 1, 8, 8)
    m[..., 2:5, 2:6] = 1.0
    return Target(edited, source, m, background)


def test_the_loss_is_equation_1():
    t = target(7.0)
    D = torch.rand(1, 3, 8, 8)
    inside = ((D * t.m - t.edited * t.m) ** 2).mean()
    outside = ((D * (1 - t.m) - t.source * (1 - t.m)) ** 2).mean()
    assert torch.allclose(t.loss(D), inside + 7.0 * outside)


@pytest.mark.parametrize("fit", [fitted_latents, tuned_decoder])
def test_fits_follow_torchs_own_adam_and_resume_to_the_bit(fit):
    decoder, t, z0 = Linear(), target(), torch.rand(1, 4, 8, 8)
    whole = fit(decoder, z0, t, 9, 1e-2, lambda i: None, [])

    def stop(i):
        if i == 4:
            raise KeyboardInterrupt

    begun = []
    with pytest.raises(KeyboardInterrupt):
        fit(decoder, z0, t, 9, 1e-2, stop, begun)
    seen = []
    resumed = fit(decoder, z0, t, 9, 1e-2, seen.append, begun)
    assert seen == [5, 6, 7, 8, 9]

    free = (z0 if fit is fitted_latents else decoder.weights["theta"]).clone().requires_grad_()
    adam = torch.optim.Adam([free], lr=1e-2)
    for _ in range(9):
        adam.zero_grad()
        if fit is fitted_latents:
            loss = t.loss(decoder.picture(free, decoder.weights))
        else:
            loss = t.loss(decoder.picture(z0, {"theta": free}))
        loss.backward()
        adam.step()
    if fit is fitted_latents:
        assert torch.equal(whole, resumed)
        assert torch.allclose(whole, free, atol=1e-6)
    else:
        assert torch.equal(whole["theta"], resumed["theta"])
        assert torch.allclose(whole["theta"], free, atol=1e-6)
        assert t.loss(decoder.picture(z0, whole)) < t.loss(decoder.picture(z0, decoder.weights))


def test_strokes_lie_over_the_picture_inside_the_selection_alone():
    """Against the composite of colours that were never over a backdrop."""
    torch.manual_seed(2)
    image, colours = (torch.rand(1, 3, 9, 9) * 1.6 - 0.8 for _ in range(2))
    alpha = torch.rand(1, 1, 9, 9)
    alpha[..., :4, :] = 0.0
    backdrop = torch.tensor([0.3, -0.2, 0.1])[:, None, None]
    strokes = torch.cat([alpha * colours + (1 - alpha) * backdrop, alpha], 1)
    m = torch.zeros(1, 1, 9, 9)
    m[..., 2:7, 2:7] = 0.4
    drawn = scribbled(image, strokes, m)
    inside = (m > 0).expand_as(image)
    assert torch.allclose(drawn[inside], (alpha * colours + (1 - alpha) * image)[inside], atol=1e-6)
    assert torch.equal(drawn[~inside], image[~inside])
    assert torch.equal(drawn[..., :4, :], image[..., :4, :])
