"""Stable Diffusion XL and its children: two CLIP text encoders, a pooled vector, sizes of the picture."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

from velatura.diffusion.condition import Condition

from . import unet_files
from .ldm import configurations as configurations
from .unet import UNetModel

if TYPE_CHECKING:
    from ..recognition import Found


@dataclass(kw_only=True)
class StableDiffusionXL(UNetModel):
    """See `UNetModel` (Podell et al. 2023, arXiv:2307.01952).

    Args:
        text_encoder_2, tokenizer_2: the second text encoder, whose pooled vector is a part of the condition.
        zeros_for_empty: whether the network was trained with zeros in place of an empty prompt's condition.
    """

    text_encoder_2: CLIPTextModelWithProjection
    tokenizer_2: CLIPTokenizer
    zeros_for_empty: bool = True

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Its networks, by their names in a diffusers folder."""
        return {**super().networks, "text_encoder_2": self.text_encoder_2}

    def _condition(self, prompt: str) -> Condition:
        """The states of both encoders' last layer but one, [1, L, d + d'], and the pooled vector."""
        layer = -1 - (1 if self.clip_skip is None else self.clip_skip)
        first = self.text_encoder(self.read(prompt, self.tokenizer), output_hidden_states=True)
        second = self.text_encoder_2(self.read(prompt, self.tokenizer_2), output_hidden_states=True)
        states = torch.cat([first.hidden_states[layer], second.hidden_states[layer]], -1).float()
        condition = Condition(states, parts={"pooled": second.text_embeds.float()})
        return condition.each(torch.zeros_like) if self.zeros_for_empty and not prompt else condition

    def unet_arguments(self, x: Tensor, condition: Condition) -> dict[str, Any]:
        """See `UNetModel`. The sizes are those of the picture that is denoised, which is told to be whole."""
        h, w = (side * self.factor for side in x.shape[-2:])
        sizes = torch.tensor([[h, w, 0, 0, h, w]], dtype=torch.float32, device=x.device).expand(len(x), -1)
        added = {"text_embeds": condition.parts["pooled"].to(self.unet.dtype), "time_ids": sizes}
        return super().unet_arguments(x, condition) | {"added_cond_kwargs": added}


def load(found: Found, id: str, digest: str, device: torch.device, dtype: torch.dtype) -> StableDiffusionXL:
    """Loads a folder or a single file. Arguments and errors are those of `sd.load`."""
    classes = {"text_encoder": CLIPTextModel, "text_encoder_2": CLIPTextModelWithProjection}
    with unet_files.opened(found, dtype, classes) as files:
        fields: dict[str, Any] = {
            "unet": files.unet(),
            "autoencoder": files.vae(),
            "text_encoder": files.text_encoder("text_encoder"),
            "text_encoder_2": files.text_encoder("text_encoder_2"),
            "tokenizer": files.tokenizer("tokenizer"),
            "tokenizer_2": files.tokenizer("tokenizer_2"),
            "zeros_for_empty": files.note("force_zeros_for_empty_prompt", True),
            **files.levels(),
        }
    model = StableDiffusionXL(
        id=id, digest=digest, device=device, dtype=dtype, clip_skip=found.clip_skip, **fields
    )
    return files.measured(model)
