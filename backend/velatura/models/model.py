"""One loaded diffusion model: networks behind a few operations, with no sampling in them."""

from __future__ import annotations

import math
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers import AutoencoderKL, AutoencoderTiny, UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from velatura.attention.places import Attend
from velatura.diffusion.condition import Condition
from velatura.diffusion.network import LatentDiffusion, Tokenized
from velatura.generators.protocol import DIFFUSION
from velatura_protocol.errors import VelaturaError

from .attention import attention_levels, hold
from .reading import tokenized

_PROMPTS_KEPT = 64


@dataclass
class Model(LatentDiffusion):
    """A model on its device: a UNet that denoises latents of an autoencoder, told by one CLIP text encoder.

    A network of another family is a subclass. It gives `encode_prompt` more parts to put into the condition,
    and `unet_arguments` the way that the UNet takes them; what edits with it is the same.

    id, digest: of the entry and of the weights. training_sigmas: noise levels it was trained at, increasing,
    float64 [T]. prediction: 'epsilon', 'v_prediction' or 'sample'. guidance_rescale: phi of
    `denoiser.guide`.
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

    kind: ClassVar[str] = DIFFUSION

    def __post_init__(self) -> None:
        hold(self.unet)
        for network in (self.unet, self.autoencoder, self.text_encoder):
            network.to(self.device).eval().requires_grad_(False)
        self.unet.to(memory_format=torch.channels_last)
        self.autoencoder.to(memory_format=torch.channels_last)

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Its networks, by the names that they have in a folder of diffusers."""
        return {"unet": self.unet, "vae": self.autoencoder, "text_encoder": self.text_encoder}

    @property
    def factor(self) -> int:
        """Pixels a side of one latent pixel."""
        channels = self.autoencoder.config.get("block_out_channels") or self.autoencoder.config.get(
            "encoder_block_out_channels"
        )
        return 2 ** (len(channels) - 1)

    @property
    def multiple(self) -> int:
        """Pictures' sides have to be multiples of this, in pixels."""
        return self.factor * 2 ** (len(self.unet.config.block_out_channels) - 1)

    @property
    def size(self) -> int:
        """Side of the square pictures it was trained on, in pixels."""
        return self.latent_size * self.factor

    @property
    def latent_channels(self) -> int:
        """C of its latents [N, C, h, w]: what it predicts, which may be less than what it is told."""
        return self.unet.config.out_channels

    @property
    def latent_size(self) -> int:
        """Side of the square latents it was trained on."""
        side = self.unet.config.sample_size or 64
        return int(side if isinstance(side, int) else min(side))

    @property
    def attention_levels(self) -> tuple[int, ...]:
        """See `LatentDiffusion`."""
        return attention_levels(self.unet)

    @property
    def prompt_tokens(self) -> int:
        """The most tokens it reads, its two marks of beginning and end among them."""
        return min(self.tokenizer.model_max_length, self.text_encoder.config.max_position_embeddings)

    def excess(self, prompt: str) -> int:
        """How many tokens of the prompt the model would not read; 0 if it reads all."""
        return max(0, len(self.tokenizer(prompt, verbose=False).input_ids) - self.prompt_tokens)

    def check_prompt(self, prompt: str, name: str = "The prompt") -> None:
        """Raises `prompt-too-long`, in a sentence that names the prompt so, if it would not be read to its
        end."""
        if excess := self.excess(prompt):
            tokens = self.prompt_tokens + excess
            raise VelaturaError(
                "prompt-too-long",
                f"{name} is about {_words(prompt, excess / tokens)} too long for this model; shorten it.",
                detail=f"{tokens} tokens, {self.prompt_tokens} read",
            )

    def tokenized(self, prompt: str) -> Tokenized:
        """See `LatentDiffusion`."""
        return tokenized(self.tokenizer, prompt, self.prompt_tokens)

    @torch.inference_mode()
    def encode_prompt(self, prompt: str) -> Condition:
        """The last hidden states of the text encoder, [1, L, d] float32. The last prompts are remembered.

        Raises `prompt-too-long`.
        """
        if prompt not in self._prompts:
            self.check_prompt(prompt)
            tokens = self.tokenizer(
                prompt, padding="max_length", max_length=self.prompt_tokens, return_tensors="pt"
            )
            states = self.text_encoder(tokens.input_ids.to(self.device)).last_hidden_state
            self._prompts[prompt] = Condition(states.float())
            if len(self._prompts) > _PROMPTS_KEPT:
                self._prompts.popitem(last=False)
        self._prompts.move_to_end(prompt)
        return self._prompts[prompt]

    def network(self, x: Tensor, t: float, condition: Condition, attend: Attend | None = None) -> Tensor:
        """The UNet's prediction, float32 [N, C, h, w]. x: [N, C, h, w]; t: training time.

        condition: of N rows. attend: asked at every attention. The one operation that is not always in
        inference mode: whoever samples chooses, and gradients may be asked for the condition's states
        (null-text inversion).
        """
        x, told = self.unet_arguments(x, condition)
        x = x.to(self.dtype, memory_format=torch.channels_last)
        time = torch.full((len(x),), t, dtype=torch.float32, device=x.device)
        if attend is not None:
            told["cross_attention_kwargs"] = {"attend": attend}
        return self.unet(x, time, return_dict=False, **told)[0].float()

    def unet_arguments(self, x: Tensor, condition: Condition) -> tuple[Tensor, dict[str, Any]]:
        """What the UNet sees, [N, C + further channels, h, w], and what else it is called with."""
        told: dict[str, Any] = {"encoder_hidden_states": condition.states.to(self.dtype)}
        if condition.valid is not None:
            told["encoder_attention_mask"] = condition.valid
        return x, told

    @torch.inference_mode()
    def encode(self, image: Tensor) -> Tensor:
        """E(x): [N, 3, h, w] in [-1, 1] to latents [N, C, h/factor, w/factor] float32, of variance about 1.

        The mean of the posterior, not a draw from it: an edit has one random source, its seed.
        """
        return self._finite(self._encode, image)

    @torch.inference_mode()
    def decode(self, z: Tensor) -> Tensor:
        """D(z): latents to pictures [N, 3, h, w] float32 in [-1, 1].

        Better one at a time: a decoder needs more memory than the UNet, and gains little from a batch.
        """
        return self._finite(self._decode, z).clamp(-1.0, 1.0)

    def _encode(self, image: Tensor) -> Tensor:
        config = self.autoencoder.config
        encoded = self.autoencoder.encode(self._laid_out(image))
        latents = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latents
        return (latents.float() - _shift(config)) * config.scaling_factor

    def _decode(self, z: Tensor) -> Tensor:
        config = self.autoencoder.config
        z = z / config.scaling_factor + _shift(config)
        return self.autoencoder.decode(self._laid_out(z), return_dict=False)[0].float()

    def _laid_out(self, x: Tensor) -> Tensor:
        return x.to(self.device, self.autoencoder.dtype, memory_format=torch.channels_last)

    def _finite(self, operation, x: Tensor) -> Tensor:
        """Some autoencoders overflow in half precision; such a one is kept in float32 from then on."""
        y = operation(x)
        if self.autoencoder.dtype == torch.float16 and not torch.isfinite(y).all():
            self.autoencoder.float()
            y = operation(x)
        return y


def _shift(config) -> float:
    return config.get("shift_factor") or 0.0


def _words(prompt: str, share: float) -> str:
    words = max(1, math.ceil(len(prompt.split()) * share))
    return "1 word" if words == 1 else f"{words} words"
