"""The codebook of the VQ model, against the formulas of van den Oord et al. 2017, appendix A.1."""

import torch
from torch import nn

from velatura_lab.training import vq


def codebook(codes):
    return vq.Codebook(nn.Parameter(codes.clone()))


def test_each_latent_gets_its_nearest_code_with_its_own_gradient():
    g = torch.Generator().manual_seed(0)
    codes, z = torch.randn(5, 3, generator=g), torch.randn(2, 3, 4, 4, generator=g).requires_grad_()
    quantised = codebook(codes)(z)
    rows = z.detach().movedim(1, -1).reshape(-1, 3)
    nearest = ((rows[:, None] - codes) ** 2).sum(-1).argmin(1)
    assert torch.equal(quantised.codes, nearest)
    torch.testing.assert_close(quantised.values.detach(), codes[nearest].view(2, 4, 4, 3).movedim(-1, 1))
    torch.testing.assert_close(quantised.commitment.detach(), (rows - codes[nearest]).square().mean())
    (gradient,) = torch.autograd.grad(quantised.values.sum(), z, retain_graph=True)
    assert torch.equal(gradient, torch.ones_like(z))


def test_codes_are_moving_averages_of_their_latents():
    codes = torch.tensor([[0.0, 0.0], [10.0, 10.0]])
    book = codebook(codes)
    z = torch.tensor([[1.0, 1.0], [3.0, 1.0], [9.0, 9.0], [11.0, 9.0]]).T.reshape(1, 2, 2, 2)
    N, m = torch.ones(2), codes.clone()
    for _ in range(3):
        numbers = book(z).codes
        assert numbers.tolist() == [0, 0, 1, 1]
        book.follow(z, numbers, renew=False)
        N = 0.99 * N + 0.01 * torch.tensor([2.0, 2.0])
        m = 0.99 * m + 0.01 * torch.tensor([[4.0, 2.0], [20.0, 18.0]])
        torch.testing.assert_close(book.codes.data, m / N[:, None])


def test_a_code_without_latents_takes_the_place_of_one():
    book = codebook(torch.tensor([[0.0, 0.0], [100.0, 100.0]]))
    z = torch.randn(1, 2, 4, 4, generator=torch.Generator().manual_seed(1))
    kept = codebook(book.codes.data)
    for _ in range(500):
        for one, renew in ((book, True), (kept, False)):
            one.follow(z, one(z).codes, renew=renew)
    assert len(book(z).codes.unique()) == 2
    assert len(kept(z).codes.unique()) == 1
