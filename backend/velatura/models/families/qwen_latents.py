"""The latents of Qwen-Image's autoencoder and the text around its prompts, which other families share."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_qwenimage import AutoencoderKLQwenImage
from torch import Tensor

from velatura.diffusion.network import Decoder, LatentDiffusion
from velatura.models.headers import Header, read_header

from . import parts
from .joint import JointModel

DESCRIBED = (
    "Describe the image by detailing the color, shape, size, texture, quantity, text, spatial relationships"
    " of the objects and background:"
)
"""What the system says before a prompt that is a description."""
DESCRIBED_TOKENS = 34
"""The number of tokens before such a prompt, whose states the networks do not get."""
CHAT = "<|im_start|>system\n{}<|im_end|>\n<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n"
"""The text around a prompt: `CHAT.format(DESCRIBED, prompt)`."""


@dataclass(kw_only=True, eq=False)
class QwenLatents(JointModel):
    """A model that denoises latents of `AutoencoderKLQwenImage`, an autoencoder of videos, of which a picture
    is the only frame."""

    @property
    def factor(self) -> int:
        """The side of one latent pixel in pixels."""
        return 2 ** len(self.autoencoder.config["temperal_downsample"])

    @property
    def latent_channels(self) -> int:
        """C of its latents [N, C, h, w]."""
        return int(self.autoencoder.config["z_dim"])

    def _encode(self, image: Tensor) -> Tensor:
        mean, deviation = self._statistics
        image = image.to(self.device, self.autoencoder.dtype)[:, :, None]
        return (
            self.autoencoder.encode(image, return_dict=False)[0].mode()[:, :, 0].float() - mean
        ) / deviation

    def _decode(self, z: Tensor) -> Tensor:
        mean, deviation = self._statistics
        z = (z * deviation + mean).to(self.device, self.autoencoder.dtype)[:, :, None]
        return self.autoencoder.decode(z, return_dict=False)[0][:, :, 0].float()

    @property
    def _statistics(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of the latents, each [1, C, 1, 1]."""
        told = self.autoencoder.config
        mean, deviation = (
            torch.tensor(told[f"latents_{name}"], device=self.device) for name in ("mean", "std")
        )
        return mean.view(1, -1, 1, 1), deviation.view(1, -1, 1, 1)

    def tunable_decoder(self) -> Decoder:
        """See `LatentDiffusion`: none, for its decoder is one of videos."""
        return LatentDiffusion.tunable_decoder(self)


def autoencoder(path: Path, dtype: torch.dtype) -> AutoencoderKLQwenImage:
    """The autoencoder in a folder, or in a .safetensors file in its own layout or Wan's."""
    config = None if path.is_dir() else _autoencoder(read_header(path))
    return parts.autoencoder(AutoencoderKLQwenImage, path, dtype, config)


def _autoencoder(header: Header) -> dict[str, Any]:
    """diffusers' configuration of the autoencoder in a file; its statistics are the published ones."""
    first = next(name for name in header.shapes if re.search(r"encoder\.(conv1|conv_in)\.weight$", name))
    return {"base_dim": header.shapes[first][0]}
