"""Stable Diffusion 1 and 2, and their children: one CLIP text encoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import CLIPTextModel

from velatura.diffusion.condition import Condition

from . import unet_files
from .ldm import configurations as configurations
from .unet import UNetModel

if TYPE_CHECKING:
    from ..recognition import Found


@dataclass(kw_only=True)
class StableDiffusion(UNetModel):
    """See `UNetModel`. Its condition is the text encoder's last hidden states."""

    def _condition(self, prompt: str) -> Condition:
        """The states, [1, L, d]."""
        encoder = self.text_encoder
        read = encoder(self.read(prompt, self.tokenizer), output_hidden_states=bool(self.clip_skip))
        if not self.clip_skip:
            return Condition(read.last_hidden_state.float())
        states = read.hidden_states[-1 - self.clip_skip]
        return Condition(encoder.final_layer_norm(states).float())


def load(found: Found, id: str, digest: str, device: torch.device, dtype: torch.dtype) -> StableDiffusion:
    """Loads a folder or a single file.

    Args:
        found: the model's files.
        id: of the model's entry.
        digest: of its weights.
        device: for its networks.
        dtype: of its networks.

    Raises:
        VelaturaError: `unknown-model` for a network of another kind, and for parts that are missing.
        OSError, ValueError: damaged files.
    """
    with unet_files.opened(found, dtype, {"text_encoder": CLIPTextModel}) as files:
        fields: dict[str, Any] = {
            "unet": files.unet(),
            "autoencoder": files.vae(),
            "text_encoder": files.text_encoder("text_encoder"),
            "tokenizer": files.tokenizer("tokenizer"),
            **files.levels(),
        }
    model = StableDiffusion(
        id=id, digest=digest, device=device, dtype=dtype, clip_skip=found.clip_skip, **fields
    )
    return files.measured(model)
