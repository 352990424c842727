"""The part that Stable Diffusion and Stable Diffusion XL share: a UNet, conditioned by CLIP."""

from __future__ import annotations

from collections import OrderedDict
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from velatura.attention.places import Attend
from velatura.diffusion.condition import Condition
from velatura.diffusion.network import Bottleneck, Tokenized

from ..adapting import bottleneck
from ..attention import attention_levels, hold
from ..latent import LatentModel
from ..reading import tokenized


@dataclass(kw_only=True)
class UNetModel(LatentModel):
    """A model on its device: a UNet that denoises latents of an autoencoder, conditioned by CLIP's text
    encoder.

    A family is a subclass. Its `_condition` gives the condition of a prompt, and its `unet_arguments` passes
    the condition to the UNet; the editing code does not change.

    Args:
        id: of the model's entry.
        digest: of its weights.
        unet, autoencoder, text_encoder, tokenizer: the networks, and the text encoder's tokenizer.
        training_sigmas: the noise levels it was trained at, increasing, float64 [T].
        prediction: 'epsilon', 'v_prediction' or 'sample'.
        guidance_rescale: phi of `denoiser.guide`.
        device, dtype: of the networks; the autoencoder may have another dtype.
    """

    id: str
    digest: str
    unet: UNet2DConditionModel
    autoencoder: AutoencoderKL | AutoencoderTiny
    text_encoder: CLIPTextModel
    tokenizer: CLIPTokenizer
    training_sigmas: np.ndarray
    prediction: str
    guidance_rescale: float
    device: torch.device
    dtype: torch.dtype
    _prompts: OrderedDict[str, Condition] = field(default_factory=OrderedDict)

    def __post_init__(self) -> None:
        hold(self.unet)
        self.place()

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Its networks, by their names in a diffusers folder."""
        return {"unet": self.unet, "vae": self.autoencoder, "text_encoder": self.text_encoder}

    @property
    def multiple(self) -> int:
        """The number of pixels that the sides of pictures must be multiples of."""
        return self.factor * 2 ** (len(self.unet.config["block_out_channels"]) - 1)

    @property
    def latent_channels(self) -> int:
        """C of its latents [N, C, h, w]: its output channels; its input may have more."""
        return self.unet.config["out_channels"]

    @property
    def latent_size(self) -> int:
        """Side of the square latents it was trained on."""
        side = self.unet.config["sample_size"] or 64
        return int(side if isinstance(side, int) else min(side))

    @property
    def attention_levels(self) -> tuple[int, ...]:
        """See `LatentDiffusion`."""
        return attention_levels(self.unet)

    def bottleneck(self, change: Bottleneck) -> AbstractContextManager[None]:
        """See `LatentDiffusion`."""
        return bottleneck(self.unet, change)

    @property
    def prompt_tokens(self) -> int:
        """The largest number of tokens that it reads, including the start mark and the end mark."""
        return min(self.tokenizer.model_max_length, self.text_encoder.config.max_position_embeddings)

    def tokens_of(self, prompt: str) -> tuple[int, int]:
        """See `LatentModel`."""
        return len(self.tokenizer(prompt, verbose=False).input_ids), self.prompt_tokens

    def tokenized(self, prompt: str) -> Tokenized:
        """See `LatentDiffusion`."""
        return tokenized(self.tokenizer, prompt, self.prompt_tokens)

    def read(self, prompt: str, tokenizer: CLIPTokenizer) -> Tensor:
        """The prompt's tokens, padded to the number that the model reads: int64 [1, L]."""
        tokens = tokenizer(prompt, padding="max_length", max_length=self.prompt_tokens, return_tensors="pt")
        return tokens.input_ids.to(self.device)

    def predict(self, x: Tensor, t: float, condition: Condition, attend: Attend | None) -> Tensor:
        """The UNet's prediction, float32 [N, C, h, w].

        This operation does not switch to inference mode itself: the caller may need gradients with respect to
        the condition's states (null-text inversion).

        Args:
            x: [N, C, h, w] float32 of unit variance.
            t: the training time.
            condition: of N rows.
            attend: replaces every attention in this call; None: plain attention.
        """
        x, arguments = self.unet_arguments(x, condition)
        x = x.to(self.unet.dtype, memory_format=torch.channels_last)
        time = torch.full((len(x),), t, dtype=torch.float32, device=x.device)
        if attend is not None:
            arguments["cross_attention_kwargs"] = {"attend": attend}
        return self.unet(x, time, return_dict=False, **arguments)[0].float()

    def unet_arguments(self, x: Tensor, condition: Condition) -> tuple[Tensor, dict[str, Any]]:
        """The UNet's input [N, C + further channels, h, w] and its keyword arguments."""
        arguments: dict[str, Any] = {"encoder_hidden_states": condition.states.to(self.unet.dtype)}
        if condition.valid is not None:
            arguments["encoder_attention_mask"] = condition.valid
        return x, arguments
