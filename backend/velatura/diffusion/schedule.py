"""The noise levels that a sampler visits, and the training time of each.

A noise level sigma is the standard deviation of the noise in x = z + sigma n, n ~ N(0, I): the
variance-exploding form of Karras et al. 2022, in which the samplers are written.
"""

from __future__ import annotations

import math

import numpy as np


def sigmas(trained: np.ndarray, n: int, strength: float = 1.0) -> list[float]:
    """The levels that a sampler visits: decreasing, and 0 at the end.

    The spacing is trailing (Lin et al. 2024, table 2), so a whole run starts from the highest trained level.

    Args:
        trained: the model's `training_sigmas`, increasing, [T].
        n: the steps of a whole run.
        strength: the start, as a fraction of the T training times, in (0, 1]. A partial run takes the same
            fraction of the steps, at least one.
    """
    return levels(trained, max(1, math.ceil(n * strength - 1e-9)), strength)


def levels(trained: np.ndarray, steps: int, strength: float) -> list[float]:
    """As `sigmas`, but a partial run has `steps` steps too. It has fewer only if the model was trained at
    fewer levels."""
    T = len(trained)
    times = np.linspace(strength * T, 0.0, steps, endpoint=False).round().astype(int) - 1
    times = np.unique(times.clip(0, T - 1))[::-1]
    return [float(sigma) for sigma in trained[times]] + [0.0]


def level(trained: np.ndarray, time: float) -> float:
    """The noise level at a fraction `time`, in [0, 1], of the training times; 0 at 0."""
    at = round(time * len(trained))
    return float(trained[at - 1]) if at else 0.0


def time(trained: np.ndarray, sigma: float) -> float:
    """The training time, in [0, T-1], of a noise level: linear in log sigma between the trained ones."""
    return float(np.interp(math.log(max(sigma, 1e-10)), np.log(trained), np.arange(len(trained))))
