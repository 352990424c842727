"""The trained style-based generator of portraits, frozen, for training its encoder and segmentation."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from velatura.models.families.stylegan2 import Synthesised
from velatura_lab.world.portrait.description import describe, sample_described

from .embedded_vae import load_vae
from .generator import LatentGenerator
from .loop import load_checkpoint
from .networks import channels_last
from .precision import mixed

BANK = 2048  # descriptions that a published generator draws from
SEED = 61  # of those descriptions


@cache
def bank() -> Tensor:
    """Descriptions (BANK, D) of portraits of the training distribution, rounded to half precision."""
    rows = [describe(sample_described(np.random.default_rng([SEED, i]))) for i in range(BANK)]
    return torch.from_numpy(np.stack(rows)).half().float()


class Faces(nn.Module):
    """The generator and the decoder of its latents. Gradients pass through; no weight takes one.

    Args:
        generator: the trained generator.
        device: where it runs.
    """

    w_avg: Tensor
    spread: Tensor

    def __init__(self, generator: LatentGenerator, device: torch.device) -> None:
        super().__init__()
        self.latent = generator
        self.vae = load_vae()
        channels_last(self, device).eval().requires_grad_(False)
        w = self.w(bank().to(device))
        self.register_buffer("w_avg", w.mean(0))
        self.register_buffer(
            "spread", w.std(0).square().mean().sqrt()
        )  # root mean square over the numbers of w

    def w(self, c: Tensor) -> Tensor:
        """Codes (N, w_dim) of descriptions (N, D)."""
        return self.latent.generator.mapping(None, c)

    def wplus(self, w: Tensor) -> Tensor:
        """w (N, w_dim) for every layer, (N, num_ws, w_dim)."""
        return w[:, None].expand(-1, self.latent.generator.shape.num_ws, -1)

    def synthesised(self, ws: Tensor) -> Synthesised:
        """Standardised latents (N, 16, 16, 16) and the blocks' features of codes (N, num_ws, w_dim)."""
        synthesis = self.latent.generator.synthesis
        styles = synthesis.styles(ws)
        with mixed(ws.device):
            latents, features = synthesis(styles)
        return Synthesised(latents.float(), [x.float() for x in features])

    def standardised(self, latents: Tensor) -> Tensor:
        """The autoencoder's latents (N, 16, 16, 16) as the generator makes them."""
        return (latents - self.latent.mean) / self.latent.std

    def decoded(self, latents: Tensor) -> Tensor:
        """Pictures (N, 3, 128, 128) in about [-1, 1] of standardised latents."""
        own = latents * self.latent.std + self.latent.mean
        with mixed(latents.device):
            decoded = self.vae.decode(own.contiguous(memory_format=torch.channels_last), return_dict=False)
        return decoded[0].float()


def load_faces(work: Path, device: torch.device) -> Faces:
    """The averaged weights of the generator that was trained in a folder.

    Raises FileNotFoundError where there is none.
    """
    state = load_checkpoint(work / "generator.pt")
    if state is None:
        raise FileNotFoundError(f"no trained generator in {work}; run `velatura train generator` first")
    generator = LatentGenerator()
    generator.load_state_dict(state["ema"])
    return Faces(generator, device)
