"""Imagic: a text embedding and a network that are fitted to one layer.

Kawar et al. 2023, Imagic: Text-Based Real Image Editing with Diffusion Models, section 3.2. The paper
fine-tunes the whole network; here a LoRA is fitted in its place, which leaves the network as it is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from velatura.diffusion.condition import Condition
from velatura.diffusion.denoiser import training_target
from velatura.diffusion.network import LatentDiffusion, Network
from velatura.fitting.adam import fit, gradients_of_square

from . import lora
from .lora import LoRA

AfterStep = Callable[[int, int], None]
"""after_step(i, n): called when step i of n, from 1, is done. It may raise to stop the fit."""

SEED = 424242
"""Of the noises and times of both fits: they are the same for each seed of an edit."""


class Fit(NamedTuple):
    """The settings of a fit: steps of Adam, and its rate."""

    steps: int
    rate: float


def residual(model: Network, z0: Tensor, c: Condition, seed: int) -> Tensor:
    """F(x_t, t, c) minus the network's training target, [1, C, h, w]. Its mean square is the loss of eq. 2.

    The paper writes it for networks that predict the noise.

    Args:
        model: the network.
        z0: [1, C, h, w], the layer's latents.
        c: a condition of one row.
        seed: of the training time t, which is drawn evenly, and of the noise; 0 … 2^31-1.
    """
    generator = torch.Generator().manual_seed(seed)
    t = int(torch.randint(len(model.training_sigmas), (), generator=generator))
    n = torch.randn(z0.shape, generator=generator).to(z0)
    sigma = float(model.training_sigmas[t])
    x = (z0 + sigma * n) / math.sqrt(sigma**2 + 1.0)
    return model.network(x, float(t), c) - training_target(model, z0, n, sigma)


def optimised_embedding(
    model: LatentDiffusion,
    z0: Tensor,
    c_tgt: Condition,
    settings: Fit,
    begun: list[Any],
    after_step: AfterStep,
) -> Condition:
    """e_opt: the target text's condition, its states moved until they describe the layer (section 3.2, A).

    Args:
        model: the network, which is not changed.
        z0: [1, C, h, w], the layer's latents.
        c_tgt: the target text's condition, one row.
        settings: of the fit.
        begun: as in `velatura.fitting.adam.fit`.
        after_step: called after each step.
    """
    with torch.inference_mode(False), torch.no_grad(), model.adapted({}, gradients=True):
        z0, c = z0.clone(), c_tgt.clone()

        def at(i: int, values: list[Tensor]) -> Tensor:
            return residual(model, z0, c.with_states(values[0]), SEED + i)

        (states,) = _fitted([c.states], at, settings, begun, after_step)
        return c.with_states(states)


def fine_tuned(
    model: LatentDiffusion,
    z0: Tensor,
    c_opt: Condition,
    rank: int,
    settings: Fit,
    begun: list[Any],
    after_step: AfterStep,
) -> LoRA:
    """A LoRA of attention's projections with which the network makes the layer from e_opt (section 3.2, B).

    Args:
        model: the network. It is changed within this call only.
        z0: [1, C, h, w], the layer's latents.
        c_opt: e_opt, one row.
        rank: of the LoRA.
        settings: of the fit.
        begun: as in `velatura.fitting.adam.fit`.
        after_step: called after each step.
    """
    with torch.inference_mode(False), torch.no_grad():
        z0, c = z0.clone(), c_opt.clone()
        now = lora.new(lora.attention(model.layers), rank, SEED, z0.device)

        def at(i: int, values: list[Tensor]) -> Tensor:
            now.update(lora.with_tensors(now, values))
            return residual(model, z0, c, SEED + i)

        with model.adapted({name: _current(now, name) for name in now}, gradients=True):
            values = _fitted(lora.tensors(now), at, settings, begun, after_step)
        return lora.with_tensors(now, values)


def _fitted(
    start: list[Tensor],
    at: Callable[[int, list[Tensor]], Tensor],
    settings: Fit,
    begun: list[Any],
    after_step: AfterStep,
) -> list[Tensor]:
    """The tensors after all steps on the mean square of the residual `at`."""
    n = settings.steps
    return fit(start, gradients_of_square(at), settings.rate, n, begun, lambda i, _: after_step(i, n))


def _current(lora: LoRA, name: str) -> lora.Added:
    return lambda x: lora[name](x)


def interpolated(c_tgt: Condition, c_opt: Condition, eta: float) -> Condition:
    """e_bar = eta e_tgt + (1 - eta) e_opt (eq. 3). Published code multiplies e_tgt by eta only.

    Args:
        c_tgt, c_opt: conditions of one row.
        eta: 0 for the layer, 1 for the target; larger values overshoot it.
    """
    return c_tgt.with_states(eta * c_tgt.states + (1.0 - eta) * c_opt.states)
