"""The embedded autoencoder, by which training sets get latents and reconstructions."""

from __future__ import annotations

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from numpy.typing import NDArray

from velatura.bundles import BUNDLES

from .precision import mixed

_FOLDER = BUNDLES / "velatura-mini" / "vae"


def load_vae() -> AutoencoderTiny:
    """The embedded autoencoder, on the CPU."""
    vae = AutoencoderTiny.from_pretrained(_FOLDER, local_files_only=True, low_cpu_mem_usage=False)
    return vae.float().eval().requires_grad_(False)


def as_images(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """Pictures (B, S, S, 3) uint8 as (B, 3, S, S) float32 in [-1, 1], in channels-last order."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1.0


@torch.no_grad()
def encoded(vae: AutoencoderTiny, pictures: NDArray[np.uint8]) -> torch.Tensor:
    """Latents (N, 16, S / 8, S / 8) float32 of pictures (N, S, S, 3)."""
    images = as_images(pictures)
    with mixed(torch.device("cpu")):
        return vae.encode(images.contiguous(memory_format=torch.channels_last), return_dict=False)[0].float()


@torch.no_grad()
def decoded(vae: AutoencoderTiny, z: torch.Tensor) -> NDArray[np.uint8]:
    """Pictures (N, S, S, 3) of latents (N, 16, S / 8, S / 8)."""
    with mixed(torch.device("cpu")):
        images = vae.decode(z.contiguous(memory_format=torch.channels_last), return_dict=False)[0].float()
    return ((images.clamp(-1.0, 1.0) + 1.0) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
