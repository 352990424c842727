"""What is kept names the mathematics that made it; figures of that mathematics, so that nobody changes it and
forgets to say so."""

import math

import numpy as np
import pytest
import torch

from velatura.cache import keys
from velatura.diffusion.condition import Condition
from velatura.inversion.ddim import ddim_inversion
from velatura.inversion.edit_friendly import edit_friendly
from velatura.inversion.null_text import null_text

FIGURES = {
    1: {
        "inverted": [11.2205, 7.8248],
        "null-text": [0.29476, 0.10306],
        "edit-friendly": [0.64818, 2.9303],
    }
}
"""Mean and deviation, by the number in every name."""

SIGMAS = [8.0, 3.0, 1.0, 0.3, 0.0]


class Formula:
    """A network that is a formula, the same on every machine."""

    training_sigmas = np.geomspace(0.03, 8.0, 100)
    prediction = "v_prediction"
    guidance_rescale = 0.7

    def network(self, x, t, condition, attend=None):
        told = condition.states.mean((1, 2)).reshape(-1, 1, 1, 1)
        return torch.sin(2.0 * x.roll(1, -1)) * (1.0 + told) + math.cos(t) + told * x


def figures():
    model, z0 = Formula(), torch.linspace(-2.0, 1.5, 64).reshape(1, 4, 4, 4).cos()
    c, uncond = Condition(torch.full((1, 3, 5), 0.2)), Condition(torch.full((1, 3, 5), -0.1))
    found = {
        "inverted": ddim_inversion(model, z0, c, SIGMAS)[-1],
        "null-text": null_text(model, z0, c, uncond, SIGMAS, 3.0).x[-1],
        "edit-friendly": edit_friendly(model, z0, c, uncond, SIGMAS, [7]).residuals[0],
    }
    return {name: [float(x.mean()), float(x.std())] for name, x in found.items()}


def test_the_mathematics_is_that_of_its_number():
    found = figures()
    for name, expected in FIGURES[keys.MATHEMATICS].items():
        assert found[name] == pytest.approx(expected, rel=1e-3, abs=1e-3), f"{name}: raise keys.MATHEMATICS"
