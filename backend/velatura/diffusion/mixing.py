"""Semantic mixing: the layout of one picture and the content of a prompt.

Liew et al. 2022, MagicMix: Semantic Mixing with Diffusion Models, arXiv:2210.16056, section 3.2.
"""

from __future__ import annotations

from torch import Tensor

from .denoiser import Denoiser, StepIndex


def mixture(x: Tensor, z0: Tensor, n: Tensor, nu: float, sigma: float) -> Tensor:
    """x_mix = nu x + (1 - nu) (z0 + sigma n), [N, C, h, w]: the run mixed with the source at its level.

    The arguments are those of `mixing`; sigma is the level of x.
    """
    return nu * x + (1.0 - nu) * (z0 + sigma * n)


def mixing(D: Denoiser, z0: Tensor, n: Tensor, nu: float, sigma_min: float) -> Denoiser:
    """The denoiser of a run whose network sees, above sigma_min, a mixture of the run and the layout.

    The layout noise x_layout = z0 + sigma n is the source at the level of the step, always with the same n.
    The network sees the paper's mixture x_mix = nu x + (1 - nu) x_layout, and the sampler steps x itself by
    the predicted noise, as in the published code:

        n_hat = (x_mix - D(x_mix; sigma)) / sigma,
        D_mix(x; sigma) = x - sigma n_hat = D(x_mix; sigma) + (x - x_mix).

    At nu = 1, and below sigma_min, it is D bit for bit.

    Args:
        D: of the prompt.
        z0: [1, C, h, w], the source's latents.
        n: [N, C, h, w], the noise of each variation, with which the run starts too.
        nu: the mix factor, the share of the prompt in the mixture, in [0, 1].
        sigma_min: the level at which the layout is settled (the paper's K_min).
    """

    def D_mix(x: Tensor, sigma: float, at: StepIndex | None = None) -> Tensor:
        if nu == 1.0 or sigma <= sigma_min:
            return D(x, sigma, at)
        x_mix = mixture(x, z0, n, nu, sigma)
        return D(x_mix, sigma, at) + (x - x_mix)

    return D_mix
