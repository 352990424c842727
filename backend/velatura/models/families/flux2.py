"""FLUX.2: klein (4B and 9B, with and without distillation to few steps) and dev.

Black Forest Labs 2025, FLUX.2; 2026, FLUX.2 klein.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from diffusers.models.autoencoders.autoencoder_kl_flux2 import AutoencoderKLFlux2
from diffusers.models.transformers.transformer_flux2 import Flux2Transformer2DModel
from diffusers.pipelines.flux2.system_messages import SYSTEM_MESSAGE
from torch import Tensor, nn
from transformers import AutoTokenizer, Mistral3ForConditionalGeneration, MistralModel, Qwen3Model

from velatura.attention.places import Attend
from velatura.diffusion.condition import Condition
from velatura.diffusion.network import Tokenized

from .joint import JointModel, pack, positions, unpack
from .templates import Template, hidden_states

LONGEST = 512
"""Tokens of a prompt, with its template and padding; the padding's states count."""
_KLEIN, _DEV = (9, 18, 27), (10, 20, 30)  # the layers of the text encoder that are read
_APART = 10  # the first coordinates of reference pictures are 10, 20, 30 …


@dataclass(kw_only=True, eq=False)
class Flux2(JointModel):
    """FLUX.2 on its device.

    Its latents are those of an autoencoder of factor 8, of which each square of 2 x 2 is one of factor 16.
    They are normalised by the running statistics of a batch normalisation.

    Args:
        text_encoder: a language model without its head.
        template: the text around a prompt.
        layers_read: the layers whose states are the prompt's, beside each other.
        steps: of a usual run. The shift of the noise levels is the one for so many.
    """

    text_encoder: nn.Module
    template: Template
    layers_read: tuple[int, ...]
    steps: int

    patch: ClassVar[int] = 1

    @property
    def encoders(self) -> dict[str, nn.Module]:
        """See `JointModel`."""
        return {"text_encoder": self.text_encoder}

    @property
    def factor(self) -> int:
        """The side of one latent pixel in pixels."""
        return 2 * super().factor

    @property
    def latent_channels(self) -> int:
        """C of its latents [N, C, h, w]."""
        return 4 * super().latent_channels

    @property
    def most_references(self) -> int:
        """See `LatentDiffusion`. Black Forest Labs name ten for dev and four for klein."""
        return 10 if self.embeds_guidance else 4

    def mu(self, tokens: int) -> float:
        """The logarithm of the shift, linear in the steps between 10 and 200 and in the tokens of the
        picture: the fit in FLUX.2's own sampling code. The fit for 10 steps is left at 4,300 tokens."""
        at_200 = 0.00016927 * tokens + 0.45666666
        if tokens > 4300:
            return at_200
        at_10 = 8.73809524e-05 * tokens + 1.89833333
        return at_200 + (at_10 - at_200) / 190.0 * (200.0 - self.steps)

    def tokens_of(self, prompt: str) -> tuple[int, int]:
        """See `LatentModel`."""
        return self.template.count(prompt), self.template.longest

    def tokenized(self, prompt: str) -> Tokenized:
        """See `LatentDiffusion`."""
        return self.template.tokenized(prompt)

    def _condition(self, prompt: str) -> Condition:
        """The states of some layers beside each other, [1, 512, 3 d]."""
        states = hidden_states(self.text_encoder, self.template.read(prompt))
        return Condition(torch.cat([states[i] for i in self.layers_read], -1).float())

    def reference_picture(self, picture: Tensor) -> Tensor:
        """See `JointModel`. A picture that is smaller than the model's own is not enlarged."""
        height, width = picture.shape[-2:]
        scale = min(1.0, self.size / math.sqrt(height * width))
        sides = [max(1, round(side * scale / self.multiple)) * self.multiple for side in (height, width)]
        if sides == [height, width]:
            return picture
        return F.interpolate(picture, sides, mode="bicubic", antialias=True).clamp(-1.0, 1.0)

    def velocity(self, x: Tensor, time: Tensor, condition: Condition, attend: Attend | None) -> Tensor:
        """See `JointModel`."""
        height, width = x.shape[-2:]
        tokens, length, states = pack(x, 1), condition.states.shape[1], condition.states.to(self.dtype)
        places = [positions(height, width, axes=4)]
        references = self.reference_tokens(len(x))
        for i, z in enumerate(self.references):
            places.append(positions(*z.shape[-2:], first=_APART * (i + 1), axes=4))
        words = torch.zeros(length, 4)
        words[:, 3] = torch.arange(length)
        with self.attending(attend, (0, length), (length, length + height * width)):
            out = self.transformer(
                tokens if references is None else torch.cat([tokens, references], 1),
                encoder_hidden_states=states,
                timestep=time,
                img_ids=torch.cat(places).to(self.device),
                txt_ids=words.to(self.device),
                guidance=self.scales(len(x)),
                return_dict=False,
            )[0]
        return unpack(out[:, : height * width], height, width, 1)

    def _encode(self, image: Tensor) -> Tensor:
        mean, deviation = self._statistics
        latents = self.autoencoder.encode(self._laid_out(image), return_dict=False)[0].mode().float()
        return (F.pixel_unshuffle(latents, 2) - mean) / deviation

    def _unscaled(self, z: Tensor) -> Tensor:
        mean, deviation = self._statistics
        return F.pixel_shuffle(z * deviation + mean, 2)

    @property
    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the latents, each [1, C, 1, 1]."""
        bn, epsilon = self.autoencoder.bn, self.autoencoder.config["batch_norm_eps"]
        mean, variance = (x.float().view(1, -1, 1, 1) for x in (bn.running_mean, bn.running_var))
        return mean, (variance + epsilon).sqrt()
