"""Networks to measure with: the embedded model's, or one of a well-known shape with random weights, which
take as long as trained ones."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch
from diffusers import UNet2DConditionModel

from velatura.models import catalogue
from velatura.models.model import Model
from velatura.models.store import ModelStore

EMBEDDED = "embedded"
_LATENT = {"in_channels": 4, "out_channels": 4}
SHAPES = {
    "sd15": _LATENT
    | {
        "sample_size": 64,
        "block_out_channels": (320, 640, 1280, 1280),
        "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
        "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
        "cross_attention_dim": 768,
        "attention_head_dim": 8,
    },
    "sdxl": _LATENT
    | {
        "sample_size": 128,
        "block_out_channels": (320, 640, 1280),
        "down_block_types": ("DownBlock2D",) + ("CrossAttnDownBlock2D",) * 2,
        "up_block_types": ("CrossAttnUpBlock2D",) * 2 + ("UpBlock2D",),
        "transformer_layers_per_block": (1, 2, 10),
        "cross_attention_dim": 2048,
        "attention_head_dim": (5, 10, 20),
        "use_linear_projection": True,
    },
}
"""The denoising networks of Stable Diffusion 1.5 and XL (without the latter's embedding of a picture's size,
which is one vector a picture)."""

TOKENS = 77
"""Of a prompt, in both."""


def model(shape: str, device: str, dtype: torch.dtype | None) -> Model:
    """The embedded model, with another denoising network if `shape` names one. dtype: None: the device's
    own, as the daemon chooses it."""
    entry = catalogue.entries(Path("/nonexistent"))[0]
    embedded = ModelStore([entry], device, dtype).diffusion()
    assert isinstance(embedded, Model)  # the one class of our own loader
    if shape == EMBEDDED:
        return embedded
    with torch.random.fork_rng(devices=[]), torch.device(device), _default(embedded.dtype):
        torch.manual_seed(0)
        return replace(embedded, unet=UNet2DConditionModel(**SHAPES[shape]))


def tokens(shape: str, model: Model) -> int:
    """How many tokens a prompt has."""
    return model.prompt_tokens if shape == EMBEDDED else TOKENS


def width(shape: str, model: Model) -> int:
    """How many values a token's hidden state has."""
    if shape == EMBEDDED:
        return model.encode_prompt("").states.shape[-1]
    return SHAPES[shape]["cross_attention_dim"]


@contextmanager
def _default(dtype: torch.dtype) -> Iterator[None]:
    """Weights are made in this dtype, and not made larger first."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
