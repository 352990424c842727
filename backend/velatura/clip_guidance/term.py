"""Losses of the predicted picture as one term of guidance, on pixels or, through a decoder, on latents."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from velatura.diffusion.condition import Condition
from velatura.guidance.term import Look

Loss = Callable[[Tensor], Tensor]
"""Pictures [N, 3, h, w], about in [-1, 1], to [N], differentiable."""

LIMIT = 0.3
"""Largest rms change of a prediction in one step."""


class PictureGuidance:
    """A `Term` that leads the prediction to pictures of a smaller loss.

    Sampling from p(z) exp(-L(z)) changes the score of x = z + sigma n by -grad_x L, and the expected clean
    latent D = x + sigma^2 score (Tweedie's formula) by

        -sigma^2 grad_x L(D(x; sigma)),

    the gradient through the network (Dhariwal & Nichol 2021, algorithm 2; Avrahami et al. 2022, published
    code). Without the network's Jacobian, as their algorithm 2 is printed, the change is

        -sigma^2 / (sigma^2 + 1) grad_D L(D):

    the Jacobian dD/dx is the posterior's covariance over sigma^2, and the covariance is about
    sigma^2 / (sigma^2 + 1) for latents of unit variance (Song et al. 2023, Pseudoinverse-Guided Diffusion,
    section 3.1). It costs no pass back through the network.

    Either change is shortened to an rms of at most `limit`, picture by picture (as Crowson's later scripts
    shorten the gradient): far from the data the network's Jacobian is noise that sigma^2 makes large.

    Args:
        losses: their sum is L.
        decode: latents to pictures, differentiable; None where latents are pictures.
        through_network: whether the gradient is taken through the network.
        limit: see above.
    """

    conditions: Sequence[Condition] = ()
    needs_unconditional = False

    def __init__(
        self,
        losses: Sequence[Loss],
        decode: Callable[[Tensor], Tensor] | None = None,
        *,
        through_network: bool = False,
        limit: float = LIMIT,
    ) -> None:
        self.losses, self.decode, self.limit = losses, decode, limit
        self.through_network = through_network

    def __call__(self, look: Look) -> Tensor:
        """See `Term`."""
        if self.through_network:
            # other terms may take gradients of the same pass
            (gradient,) = torch.autograd.grad(self._total(look.D), look.x, retain_graph=True)
            return self._limited(-(look.sigma**2) * gradient)
        with torch.inference_mode(False), torch.enable_grad():
            D = look.D.detach().clone().requires_grad_()
            (gradient,) = torch.autograd.grad(self._total(D), D)
        return self._limited(-(look.sigma**2 / (look.sigma**2 + 1.0)) * gradient)

    def _total(self, D: Tensor) -> Tensor:
        """The sum over pictures and losses; the pictures of a batch do not depend on each other."""
        pictures = D if self.decode is None else self.decode(D)
        return torch.stack([loss(pictures) for loss in self.losses]).sum()

    def _limited(self, change: Tensor) -> Tensor:
        rms = change.square().mean((1, 2, 3), keepdim=True).sqrt()
        return change * (self.limit / rms.clamp(min=self.limit))
