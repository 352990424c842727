"""Measures the prediction of a network whose files do not say it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from velatura.diffusion import noise, schedule
from velatura.diffusion.denoiser import training_target
from velatura.samples import SAMPLES

if TYPE_CHECKING:
    from .unet import UNetModel

_SIGMA = 1.0  # here the targets of the three predictions are far from each other
_CLEAR = 0.5  # of a target's energy: a larger error is no prediction of it
_SIDE = 32  # of the latents


@torch.inference_mode()
def measured_prediction(model: UNetModel) -> str:
    """'epsilon', 'v_prediction' or 'sample'; '' for a network that predicts none of them well.

    The model sees a photograph of ours with known noise at sigma = 1. A network that was trained to predict n
    gives a result near to n, and likewise for v and z: n, v = (n - z) / sqrt(2) and z are different enough to
    be told apart by one pass.
    """
    z, n = shown(model)
    x = (z + _SIGMA * n) / (_SIGMA**2 + 1.0) ** 0.5
    t = schedule.time(model.training_sigmas, _SIGMA)
    found = model.network(x, t, model.encode_prompt(""))
    own, errors = model.prediction, dict[str, float]()
    for model.prediction in ("epsilon", "v_prediction", "sample"):
        target = training_target(model, z, n, _SIGMA)
        errors[model.prediction] = float((found - target).square().sum() / target.square().sum())
    model.prediction = own
    best = min(errors, key=lambda prediction: errors[prediction])
    return best if errors[best] < _CLEAR else ""


def shown(model: UNetModel) -> tuple[Tensor, Tensor]:
    """The latents of the photograph and the noise, z and n [1, C, h, w]."""
    side = _SIDE * model.factor
    picture = np.array(Image.open(SAMPLES / "portrait.png").convert("RGB"), dtype=np.float32)
    image = torch.from_numpy(picture).permute(2, 0, 1)[None].to(model.device) / 127.5 - 1.0
    z = model.encode(F.interpolate(image, (side, side), mode="bicubic", antialias=True).clamp(-1.0, 1.0))
    return z, noise.standard_normal([0], tuple(z.shape[1:])).to(z.device)
