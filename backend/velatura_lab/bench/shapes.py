"""The networks to measure: the embedded model's, or one of a well-known shape with random weights, which take
as long as trained ones."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel

from velatura.models import catalogue
from velatura.models.model import Model
from velatura.models.store import ModelStore

EMBEDDED = "embedded"
_LATENT: dict[str, Any] = {"in_channels": 4, "out_channels": 4}
SHAPES: dict[str, dict[str, Any]] = {
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
"""The denoising networks of Stable Diffusion 1.5 and XL (without XL's embedding of the picture's size, one
vector for each picture)."""

TOKENS = 77
"""Tokens of a prompt, in both shapes."""


def model(shape: str, device: str, dtype: torch.dtype | None) -> Model:
    """The embedded model, with another denoising network if `shape` names one. dtype: None for the device's
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
    """The number of tokens of a prompt."""
    return model.prompt_tokens if shape == EMBEDDED else TOKENS


def width(shape: str, model: Model) -> int:
    """The number of values of a token's hidden state."""
    if shape == EMBEDDED:
        return model.encode_prompt("").states.shape[-1]
    return SHAPES[shape]["cross_attention_dim"]


@contextmanager
def _default(dtype: torch.dtype) -> Generator[None]:
    """Makes weights in this dtype, without larger ones first."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
