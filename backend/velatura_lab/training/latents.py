"""The trained autoencoder, and the training set as its latents."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from tqdm import trange

from .data import Dataset, world_digest
from .loop import load_checkpoint
from .networks import Profile, channels_last, make_autoencoder
from .options import Options
from .precision import mixed


def load_autoencoder(work: Path) -> AutoencoderTiny:
    """The trained autoencoder with averaged weights, and with the finished decoder if there is one.

    Raises:
        FileNotFoundError: The autoencoder was not trained.
    """
    state = load_checkpoint(work / "autoencoder.pt")
    if state is None:
        raise FileNotFoundError(f"no trained autoencoder in {work}; run `velatura train autoencoder` first")
    vae = make_autoencoder(Profile(**state["profile"]))
    vae.load_state_dict(state["ema"])
    finished = load_checkpoint(work / "decoder.pt")
    if finished is not None:
        vae.decoder.load_state_dict(finished["ema"])
    return vae.eval().requires_grad_(False)


@torch.no_grad()
def encode_share(data: Dataset, options: Options, rank: int, batch: int = 32) -> torch.Tensor:
    """Latents (n, 2, C, h, w) of this process's pictures and of their mirror images, float16 on the CPU.

    They are computed on first use and stored in `options.work`.
    """
    vae = load_autoencoder(options.work)
    trained = torch.load(options.work / "autoencoder.pt", mmap=True, weights_only=True)["samples"]
    name = f"latents-{trained}-{data.seed}-{len(data)}-{world_digest()}-{rank}of{options.processes}.pt"
    path = options.work / name
    if path.exists():
        return torch.load(path, weights_only=True)
    device = options.device
    vae = channels_last(vae, device)
    mine = np.arange(rank, len(data), options.processes)
    chunks: list[torch.Tensor] = []
    for first in trange(0, len(mine), batch, desc="encoding", disable=rank != 0, mininterval=5.0):
        images = data.images(mine[first : first + batch]) * 2.0 - 1.0
        both = torch.cat([images, images.flip(3)]).to(device).contiguous(memory_format=torch.channels_last)
        with mixed(device):
            latents = vae.encode(both, return_dict=False)[0]
        chunks.append(torch.stack(latents.half().chunk(2), 1).contiguous().cpu())
    latents = torch.cat(chunks)
    part = path.with_suffix(".part")
    torch.save(latents, part)
    part.replace(path)
    return latents
