"""Leads the latents of a VQ model to words: gradient descent on a loss of the decoded picture.

VQGAN-CLIP (Crowson et al. 2022, arXiv:2204.08583) and, within a mask, Paint by Word (Bau et al. 2021,
arXiv:2103.10951) with a VQGAN in place of StyleGAN.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from velatura.diffusion import noise
from velatura.fitting.adam import fit, gradients_of
from velatura.generators.codes import CodeGenerator

from .augment import Views, cutouts, generators, warps

Loss = Callable[[Tensor, Sequence[torch.Generator]], Tensor]
"""(pictures [N, 3, h, w] in [-1, 1], a generator a picture) -> [N]."""

LEAST_CUTOUT = 0.5  # side of a cut-out, in shorter sides of the picture


class Step(NamedTuple):
    """A finished step. i: from 0. n: all steps. picture: makes the present picture [1, 3, h, w]."""

    i: int
    n: int
    picture: Callable[[], Tensor]


def views(n: int, side: int) -> Views:
    """The n views of a picture that CLIP sees: half of them cut-outs, half warped."""
    cut, warped = cutouts(n - n // 2, side, least=LEAST_CUTOUT), warps(n // 2, side) if n > 1 else None
    if warped is None:
        return cut
    return lambda x, random: torch.cat([cut(x, random), warped(x, random)], dim=1)


def optimise(
    model: CodeGenerator,
    z0: Tensor,
    loss: Loss,
    seed: int,
    *,
    steps: int,
    rate: float,
    scatter: float = 0.0,
    free: Tensor | None = None,
    after_step: Callable[[Step], None],
    begun: list[Any],
) -> Tensor:
    """The latents [1, D, h, w] after `steps` steps of Adam on the loss of their decoded picture.

    The optimised w starts at the layer's own latents z0. The picture is D(z0 + free (w - z0)), with a
    straight-through gradient past the quantisation. After each step w is clipped to the range of the codes in
    each dimension, outside of which no code comes nearer.

    Args:
        model: encodes and decodes.
        z0: [1, D, h, w], of the layer.
        loss: of the decoded picture, to be lowered.
        seed: of the start and of the views.
        steps: of Adam, whose betas are the usual (0.9, 0.999).
        rate: Adam's, in units of the latents.
        scatter: in [0, 1], how far w starts on the way from z0 to random codes.
        free: [1, 1, h, w] in [0, 1], the places that may change; None: all.
        after_step: called after each step; it raises to cancel.
        begun: see `velatura.fitting.adam.fit`.
    """
    with torch.inference_mode(False), torch.no_grad():
        z0 = z0.clone()
        low, high = _range(model.codes)

        def lowered(i: int, x: list[Tensor]) -> Tensor:
            # a generator of its own for each step: a resumed run then sees the views of an uninterrupted one
            return loss(
                model.picture(_held(z0, x[0], free)), generators([_mixed(noise.chosen(seed, i), i)])
            ).sum()

        def after(i: int, x: list[Tensor]) -> None:
            after_step(Step(i - 1, steps, lambda: model.decode(_held(z0, x[0], free))))

        def within(x: list[Tensor]) -> None:
            x[0].clamp_(low, high)

        start = _start(model, z0, seed, scatter)
        (w,) = fit([start], gradients_of(lowered), rate, steps, begun, after, within=within)
        return _held(z0, w, free)


def _held(z0: Tensor, w: Tensor, free: Tensor | None) -> Tensor:
    return w if free is None else z0 + free * (w - z0)


def _range(codes: Tensor) -> tuple[Tensor, Tensor]:
    """The least and the greatest value of the codes [K, D] in each dimension, [1, D, 1, 1]."""
    low, high = codes.min(0).values, codes.max(0).values
    return low[None, :, None, None], high[None, :, None, None]


def _start(model: CodeGenerator, z0: Tensor, seed: int, scatter: float) -> Tensor:
    """Where w starts."""
    if not scatter:
        return z0
    K = len(model.codes)
    size = (1, *z0.shape[-2:])

    def draw(one: int) -> Tensor:
        return torch.randint(K, size, generator=torch.Generator().manual_seed(one))

    def mix(a: Tensor, b: Tensor, share: float) -> Tensor:
        """Takes a share of the places from b."""
        taken = torch.rand(size, generator=torch.Generator().manual_seed(int(b.sum()))) < share
        return torch.where(taken, b, a)

    numbers = noise.drawn(seed, draw, mix)
    scattered = model.codes[numbers.to(z0.device)].movedim(-1, 1)
    return z0 + scatter * (scattered - z0)


def _mixed(seed: int, i: int) -> int:
    """A seed for step i; the odd factor keeps those of neighbouring seeds apart."""
    return (seed * 1_000_003 + i + 1) % 2**63
