"""The networks to measure: the embedded model's, or one of a well-known shape with random weights, which take
as long as trained ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator as Generates
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import CLIPTextConfig, CLIPTextModel

from velatura.generators.protocol import Generator
from velatura.models import catalogue
from velatura.models.families.sd import StableDiffusion
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


def model(shape: str, device: str, dtype: torch.dtype | None) -> StableDiffusion:
    """The embedded model, with another denoising network if `shape` names one. dtype: None for the device's
    own, as the daemon chooses it."""
    entry = catalogue.entries(Path("/nonexistent"))[0]
    embedded = ModelStore([entry], device, dtype).diffusion()
    assert isinstance(embedded, StableDiffusion)  # the one class of our own loader
    if shape == EMBEDDED:
        return embedded
    with torch.random.fork_rng(devices=[]), torch.device(device), default(embedded.dtype):
        torch.manual_seed(0)
        return replace(embedded, unet=UNet2DConditionModel(**SHAPES[shape]))


def tokens(shape: str, model: StableDiffusion) -> int:
    """The number of tokens of a prompt."""
    return model.prompt_tokens if shape == EMBEDDED else TOKENS


def width(shape: str, model: StableDiffusion) -> int:
    """The number of values of a token's hidden state."""
    if shape == EMBEDDED:
        return model.encode_prompt("").states.shape[-1]
    return SHAPES[shape]["cross_attention_dim"]


class Shaped(ModelStore):
    """A store of one whole model of a shape, with the embedded model's companions.

    Args:
        shape: `EMBEDDED`, or "sd15" for networks of Stable Diffusion 1.5 with random weights.
        device: 'cpu', 'cuda:0' and so on.
        side: of the latents that the model says it was trained on; 0 for its own.
    """

    WHOLE = (EMBEDDED, "sd15")

    def __init__(self, shape: str, device: str, side: int = 0) -> None:
        super().__init__([catalogue.entries(Path("/nonexistent"))[0]], device)
        self._shape, self._side, self._made = shape, side, False

    def get(self, id: str = "", digest: str = "") -> Generator:
        """See `ModelStore`."""
        found = super().get(id, digest)
        if not self._made:
            assert isinstance(found, StableDiffusion)  # the one class of our own loader
            shaped = found if self._shape == EMBEDDED else sd15(found)
            if self._side:
                shaped.unet.register_to_config(sample_size=self._side)
            self._loaded, self._made = (self.entry(id), shaped), True
            return shaped
        return found

    def shaped(self) -> StableDiffusion:
        """The model."""
        found = self.get()
        assert isinstance(found, StableDiffusion)
        return found


def sd15(embedded: StableDiffusion) -> StableDiffusion:
    """The networks of Stable Diffusion 1.5 with random weights, and the embedded model's tokenizer."""
    blocks = 4
    autoencoder: dict[str, Any] = {
        "block_out_channels": (128, 256, 512, 512),
        "down_block_types": ("DownEncoderBlock2D",) * blocks,
        "up_block_types": ("UpDecoderBlock2D",) * blocks,
        "layers_per_block": 2,
    }
    reader = CLIPTextConfig(
        vocab_size=embedded.text_encoder.config.vocab_size,
        hidden_size=SHAPES["sd15"]["cross_attention_dim"],
        intermediate_size=3072,
        num_hidden_layers=12,
        num_attention_heads=12,
        max_position_embeddings=TOKENS,
        eos_token_id=embedded.text_encoder.config.eos_token_id,
    )
    embedded.tokenizer.model_max_length = TOKENS
    with torch.random.fork_rng(devices=[]), embedded.device, default(embedded.dtype):
        torch.manual_seed(0)
        return replace(
            embedded,
            unet=UNet2DConditionModel(**SHAPES["sd15"]),
            autoencoder=AutoencoderKL(**autoencoder),
            text_encoder=CLIPTextModel(reader),
            _prompts=OrderedDict(),
        )


@contextmanager
def default(dtype: torch.dtype) -> Generates[None]:
    """Makes weights in this dtype, without larger ones first."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
