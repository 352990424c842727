"""One loaded diffusion model: a few operations of its networks, without sampling."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from velatura.attention.places import Attend
from velatura.diffusion.condition import Condition
from velatura.diffusion.network import Adapter, Bottleneck, LatentDiffusion, Layer, Tokenized
from velatura.generators.protocol import DIFFUSION
from velatura_protocol.errors import VelaturaError

from .adapting import adapted, bottleneck, layers
from .attention import attention_levels, hold
from .decoder import TunableDecoder
from .reading import tokenized

_PROMPTS_KEPT = 64


@dataclass
class Model(LatentDiffusion):
    """A model on its device: a UNet that denoises latents of an autoencoder, conditioned by one CLIP text
    encoder.

    A network of another family is a subclass. Its `encode_prompt` adds parts to the condition, and its
    `unet_arguments` passes them to the UNet; the editing code does not change.

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

    kind: ClassVar[str] = DIFFUSION

    def __post_init__(self) -> None:
        hold(self.unet)
        for network in self.networks.values():
            network.to(self.device).eval().requires_grad_(False)
        for name in ("unet", "vae"):
            network = self.networks[name]
            network.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - torch lacks it

    @property
    def networks(self) -> dict[str, nn.Module]:
        """Its networks, by their names in a diffusers folder."""
        return {"unet": self.unet, "vae": self.autoencoder, "text_encoder": self.text_encoder}

    @property
    def factor(self) -> int:
        """The side of one latent pixel in pixels."""
        config = self.autoencoder.config
        channels = config.get("block_out_channels") or config["encoder_block_out_channels"]
        return 2 ** (len(channels) - 1)

    @property
    def multiple(self) -> int:
        """The number of pixels that the sides of pictures must be multiples of."""
        return self.factor * 2 ** (len(self.unet.config["block_out_channels"]) - 1)

    @property
    def size(self) -> int:
        """Side of the square pictures it was trained on, in pixels."""
        return self.latent_size * self.factor

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

    @property
    def layers(self) -> dict[str, Layer]:
        """See `LatentDiffusion`."""
        return layers(self.unet, "unet")

    def adapted(self, adapter: Adapter, *, gradients: bool = False) -> AbstractContextManager[None]:
        """See `LatentDiffusion`."""
        return adapted(self.unet, "unet", adapter, gradients=gradients)

    def bottleneck(self, change: Bottleneck) -> AbstractContextManager[None]:
        """See `LatentDiffusion`."""
        return bottleneck(self.unet, change)

    @property
    def prompt_tokens(self) -> int:
        """The largest number of tokens that it reads, including the start mark and the end mark."""
        return min(self.tokenizer.model_max_length, self.text_encoder.config.max_position_embeddings)

    def excess(self, prompt: str) -> int:
        """The number of tokens at the prompt's end that the model does not read."""
        return max(0, len(self.tokenizer(prompt, verbose=False).input_ids) - self.prompt_tokens)

    def check_prompt(self, prompt: str, name: str = "The prompt") -> None:
        """Raises `prompt-too-long` if the model does not read the prompt to its end. name: the prompt's name
        in the message."""
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
        """The last hidden states of the text encoder, [1, L, d] float32. The last prompts are cached.

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
        x = x.to(self.dtype, memory_format=torch.channels_last)
        time = torch.full((len(x),), t, dtype=torch.float32, device=x.device)
        if attend is not None:
            arguments["cross_attention_kwargs"] = {"attend": attend}
        return self.unet(x, time, return_dict=False, **arguments)[0].float()

    def unet_arguments(self, x: Tensor, condition: Condition) -> tuple[Tensor, dict[str, Any]]:
        """The UNet's input [N, C + further channels, h, w] and its keyword arguments."""
        arguments: dict[str, Any] = {"encoder_hidden_states": condition.states.to(self.dtype)}
        if condition.valid is not None:
            arguments["encoder_attention_mask"] = condition.valid
        return x, arguments

    @torch.inference_mode()
    def encode(self, image: Tensor) -> Tensor:
        """E(x): [N, 3, h, w] in [-1, 1] to latents [N, C, h/factor, w/factor] float32, of variance about 1.

        The mean of the posterior, not a sample: the seed is an edit's only source of randomness.
        """
        return self._finite(self._encode, image)

    @torch.inference_mode()
    def decode(self, z: Tensor) -> Tensor:
        """D(z): latents to pictures [N, 3, h, w] float32 in [-1, 1].

        Decode one at a time where possible: the decoder needs more memory than the UNet and gains little from
        a batch.
        """
        return self._finite(self._decode, z).clamp(-1.0, 1.0)

    def tunable_decoder(self) -> TunableDecoder:
        """See `LatentDiffusion`."""
        config = self.autoencoder.config
        return TunableDecoder(self.autoencoder, config["scaling_factor"], _shift(config))

    def decode_through(self, z: Tensor) -> Tensor:
        """As `decode`, but differentiable, and not bounded to [-1, 1]."""
        return self._finite(self._decode, z)

    def _encode(self, image: Tensor) -> Tensor:
        config = self.autoencoder.config
        encoded = self.autoencoder.encode(self._laid_out(image), return_dict=False)[0]
        latents = encoded if isinstance(encoded, Tensor) else encoded.mode()  # of a posterior
        return (latents.float() - _shift(config)) * config["scaling_factor"]

    def _decode(self, z: Tensor) -> Tensor:
        config = self.autoencoder.config
        z = self._laid_out(z / config["scaling_factor"] + _shift(config))
        decoded = self.autoencoder.decode(z, return_dict=False)  # pyright: ignore[reportArgumentType] - typed FloatTensor
        return decoded[0].float()

    def _laid_out(self, x: Tensor) -> Tensor:
        return x.to(self.device, self.autoencoder.dtype, memory_format=torch.channels_last)

    def _finite(self, operation: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
        """The result of the operation. An autoencoder that overflows in half precision stays in float32 from
        then on."""
        y = operation(x)
        if self.autoencoder.dtype == torch.float16 and not torch.isfinite(y).all():
            self.autoencoder.float()
            y = operation(x)
        return y


def _shift(config: Mapping[str, Any]) -> float:
    return config.get("shift_factor") or 0.0


def _words(prompt: str, share: float) -> str:
    words = max(1, math.ceil(len(prompt.split()) * share))
    return "1 word" if words == 1 else f"{words} words"
