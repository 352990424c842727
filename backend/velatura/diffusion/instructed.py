"""An instruction to a degree: between the prediction without it and the one with it, and beyond."""

from __future__ import annotations

import torch
from torch import Tensor

from .condition import cat
from .denoiser import Denoiser, StepIndex, denoise, guide, guided
from .network import Network


def instructed(
    model: Network, instruction: str, negative_prompt: str, scale: float, strength: float
) -> Denoiser:
    """D(x; sigma) = D_0 + strength (D_1 - D_0), for a model that sees reference pictures in both.

    D_1 is the guided prediction for the instruction (`denoiser.guided`), D_0 that for no text, which gives
    the reference pictures back. D is affine in the network's prediction, so for a flow this extrapolates its
    velocity. All rows run as one batch; at strength 1 it is D_1 itself.

    Args:
        model: its copy that sees the pictures (`LatentDiffusion.referring`).
        instruction, negative_prompt: the texts of D_1.
        scale: of classifier-free guidance; 1 for none.
        strength: 0 or more.
    """
    if strength == 1.0:
        return guided(model, instruction, negative_prompt, scale)
    texts = ["", instruction]
    if scale != 1.0 and negative_prompt not in texts:
        texts.append(negative_prompt)
    conditions = [model.encode_prompt(text) for text in texts]

    def D(x: Tensor, sigma: float, at: StepIndex | None = None) -> Tensor:
        c = cat([condition.expand(len(x)) for condition in conditions])
        rows = denoise(model, torch.cat([x] * len(texts)), sigma, c).chunk(len(texts))
        of = dict(zip(texts, rows, strict=True))
        D_0, D_c = of[""], of[instruction]
        D_1 = D_c if scale == 1.0 else guide(model, x, sigma, D_c, of[negative_prompt], scale)
        return D_0 + strength * (D_1 - D_0)

    return D
