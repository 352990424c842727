"""The noise levels that a model was trained at.

A variance-preserving model (DDPM, Stable Diffusion) saw x_t = sqrt(abar_t) z + sqrt(1 - abar_t) n at the
times t = 0 … T-1. Divided by sqrt(abar_t) that is z + sigma_t n, sigma_t = sqrt((1 - abar_t) / abar_t), the
form in which samplers are written (Karras et al. 2022, appendix C.1).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# A schedule with zero terminal SNR (Lin et al. 2024, arXiv:2305.08891) has abar_T-1 = 0, an infinite sigma.
# This value replaces it: sigma is then 4096, at which the signal is far below the model's own precision,
# while float32 still represents z beside sigma n to 2^-11.
_LEAST_ALPHA_BAR = 2.0**-24
_MOST_TIMES = 10_000  # T of a schedule; published models have 1000


def training_sigmas(betas: np.ndarray, *, zero_terminal_snr: bool = False) -> np.ndarray:
    """sigma_t for t = 0 … T-1, increasing, float64 [T], from the variances beta_t of the forward process.

    zero_terminal_snr: whether the betas are first rescaled so that the last level has no signal (Lin et al.
    2024, algorithm 1), which the model's own schedule says.
    """
    abar = np.cumprod(1.0 - np.asarray(betas, dtype=np.float64))
    if zero_terminal_snr:
        root = np.sqrt(abar)
        root = (root - root[-1]) * root[0] / (root[0] - root[-1])
        abar = root**2
    abar = np.maximum(abar, _LEAST_ALPHA_BAR)
    return np.sqrt((1.0 - abar) / abar)


def scheduled_betas(config: Mapping[str, Any]) -> np.ndarray:
    """beta_t of a diffusers scheduler's configuration, float64 [T].

    Raises ValueError for an unknown schedule, and for an impossible one: more than 10,000 times, or variances
    outside [0, 1].
    """
    betas = _betas(config)
    if not (1 <= len(betas) <= _MOST_TIMES and np.all((betas >= 0.0) & (betas <= 1.0))):
        raise ValueError("its variances make no sense")
    return betas


def _betas(config: Mapping[str, Any]) -> np.ndarray:
    if config.get("trained_betas") is not None:
        return np.asarray(config["trained_betas"], dtype=np.float64).reshape(-1)
    T = int(config.get("num_train_timesteps", 1000))
    low, high = float(config.get("beta_start", 1e-4)), float(config.get("beta_end", 0.02))
    if not (1 <= T <= _MOST_TIMES and min(low, high) >= 0.0):
        raise ValueError(f"a schedule of {T} times")
    kind = config.get("beta_schedule", "linear")
    if kind == "linear":
        return np.linspace(low, high, T)
    if kind == "scaled_linear":
        return np.linspace(low**0.5, high**0.5, T) ** 2
    if kind == "squaredcos_cap_v2":
        abar = (
            np.cos((np.arange(T + 1) / T + 0.008) / 1.008 * np.pi / 2) ** 2
        )  # Nichol & Dhariwal 2021, eq. 17
        return np.minimum(1.0 - abar[1:] / abar[:-1], 0.999)
    raise ValueError(f"beta_schedule {kind!r}")


FLOW_TIMES = 25_200
"""T of a flow model, which is trained at all t in (0, 1]. All usual numbers of steps divide it, so that a
sampler's levels are exactly those of n even steps."""
_MOST_SIGMA = 2.0**16  # in place of the infinite level at t = 1; the signal there is below 2^-16


def flow_sigmas(shift: Callable[[np.ndarray], np.ndarray] = lambda u: u) -> np.ndarray:
    """sigma = t / (1 - t) at T even times u in (0, 1], with t = shift(u); increasing, float64 [T].

    shift: an increasing function of [0, 1] onto itself, by which a family moves a sampler's times towards the
    noise.
    """
    t = shift(np.arange(1, FLOW_TIMES + 1) / FLOW_TIMES)
    return np.minimum(t / np.maximum(1.0 - t, 1e-12), _MOST_SIGMA)


def static_shift(s: float) -> Callable[[np.ndarray], np.ndarray]:
    """t = s u / (1 + (s - 1) u) (Esser et al. 2024, Scaling rectified flow transformers, eq. 23)."""
    return lambda u: s * u / (1.0 + (s - 1.0) * u)


def dynamic_shift(mu: float) -> Callable[[np.ndarray], np.ndarray]:
    """`static_shift` by e^mu. Families make mu grow with the size of the picture."""
    return static_shift(math.exp(mu))
