"""A source on a tiny model whose text matters: its latents, levels and conditionings."""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor

from tests.diffusion.conftest import tiny
from velatura.diffusion import noise, schedule
from velatura.diffusion.condition import Condition
from velatura.models.families.sd import StableDiffusion

__all__ = ["tiny"]

STEPS = 10  # divides the 1000 training times, without which diffusers' spacing is another


@dataclass
class Source:
    model: StableDiffusion
    z0: Tensor  # [1, 4, 8, 12]: not square
    c: Condition
    uncond: Condition
    sigmas: list[float]


@pytest.fixture(scope="session")
def source(tiny):
    """source(prediction, zero_snr, strength=1) -> Source."""

    def load(prediction="epsilon", zero_snr=False, strength=1.0):
        model = tiny(prediction, zero_snr)
        z0 = noise.standard_normal([7], (4, 8, 12))
        sigmas = schedule.sigmas(model.training_sigmas, STEPS, strength)
        return Source(model, z0, model.encode_prompt("a hat"), model.encode_prompt(""), sigmas)

    return load


@pytest.fixture(autouse=True)
def as_in_the_worker():
    with torch.inference_mode():
        yield
