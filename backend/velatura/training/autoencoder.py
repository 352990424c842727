"""Training of the autoencoder: a picture of 128 pixels a side in 8 x 16 x 16 numbers and back."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from velatura.world import ELEMENTS

from .data import load_dataset
from .loop import Ema, Options, Progress, load_checkpoint, save_checkpoint
from .networks import LATENT_CHANNELS, make_autoencoder

FACE_WEIGHT = 4.0  # of a pixel of a person's features, against one of the backdrop
_BUSY = [ELEMENTS.index(name) for name in ("face", "mouth", "beard", "glasses")]
_HAIRY = [ELEMENTS.index(name) for name in ("hair", "hat")]


def pixel_weights(shares: torch.Tensor) -> torch.Tensor:
    """Weight (B, 1, 128, 128), mean one, from masks (B, 8, 32, 32): small things must not drown."""
    weight = (
        1.0
        + (FACE_WEIGHT - 1.0) * shares[:, _BUSY].sum(1, keepdim=True)
        + shares[:, _HAIRY].sum(1, keepdim=True)
    )
    weight = F.interpolate(weight, scale_factor=4, mode="bilinear")
    return weight / weight.mean((2, 3), keepdim=True)


def reconstruction_losses(
    output: torch.Tensor, images: torch.Tensor, weight: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Absolute error of pixels, of edges (differences of neighbours) and of colour (means of 8 x 8)."""
    error = output - images
    edges = ((error[..., 1:] - error[..., :-1]).abs() * weight[..., 1:]).mean()
    edges = edges + ((error[..., 1:, :] - error[..., :-1, :]).abs() * weight[..., 1:, :]).mean()
    return {
        "pixel": (error.abs() * weight).mean(),
        "edge": edges,
        "colour": F.avg_pool2d(error, 8).abs().mean(),
    }


def moment_loss(latents: torch.Tensor) -> torch.Tensor:
    """Squared distance of each channel's mean from 0 and deviation from 1, over the batch."""
    rows = latents.float().transpose(0, 1).flatten(1)
    return (rows.mean(1) ** 2).mean() + ((rows.std(1) - 1.0) ** 2).mean()


def train_autoencoder(options: Options, rank: int) -> None:
    """Weighted L1 with noise on the latents, and a linear reading of the masks from them.

    The noise makes neighbouring latents mean neighbouring pictures, so that the small errors of a
    denoising network stay small; the reading makes elements easy to tell apart in latent space.
    """
    data = load_dataset(options.work, options.seed, options.pictures, options.processes)
    vae = make_autoencoder().to(memory_format=torch.channels_last)
    reader = nn.Conv2d(LATENT_CHANNELS, len(ELEMENTS), 1)
    both = nn.ModuleDict({"vae": vae, "reader": reader})
    parameters = [p for p in both.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, options.rate, betas=(0.9, 0.98), weight_decay=1e-4, fused=True)
    state = load_checkpoint(options.work / "autoencoder.pt") or {"samples": 0, "seconds": 0.0}
    if "model" in state:
        both.load_state_dict(state["model"])
        optimiser.load_state_dict(state["optimiser"])
    else:
        for parameter in both.parameters():
            torch.distributed.broadcast(parameter.data, 0)
    ema = Ema(vae, 0.998)
    if "ema" in state:
        ema.state, ema.count = {k: state["ema"][k] for k in ema.state}, state["count"]
    progress = Progress(options, rank, state["samples"], state["seconds"])
    rng = np.random.default_rng([options.seed, rank, progress.samples])
    mine = np.arange(rank, len(data), options.processes)

    def save() -> None:
        save_checkpoint(
            options.work / "autoencoder.pt",
            {
                "model": both.state_dict(),
                "ema": ema.full_state(),
                "count": ema.count,
                "optimiser": optimiser.state_dict(),
                "samples": progress.samples,
                "seconds": progress.seconds,
            },
        )

    while progress.running:
        pick = mine[rng.integers(len(mine), size=options.batch)]
        images, shares = data.images(pick) * 2.0 - 1.0, data.shares(pick)
        if rng.random() < 0.5:
            images, shares = images.flip(3), shares.flip(3)
        images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            latents = vae.encode(images).latents
            noisy = latents + 0.2 * torch.rand(len(pick), 1, 1, 1) * torch.randn_like(latents)
            output = vae.decode(noisy).sample
        losses = reconstruction_losses(output.float(), images, pixel_weights(shares))
        losses["masks"] = F.cross_entropy(reader(latents.float()), F.avg_pool2d(shares, 2))
        losses["moments"] = moment_loss(latents)
        loss = (
            losses["pixel"]
            + 0.5 * losses["edge"]
            + losses["colour"]
            + 0.02 * losses["masks"]
            + 0.05 * losses["moments"]
        )
        optimiser.zero_grad()
        loss.backward()
        for group in optimiser.param_groups:
            group["lr"] = options.rate * progress.rate()
        progress.step(parameters, {name: value.detach() for name, value in losses.items()})
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        ema.update()
        if progress.save_due():
            save()
    if rank == 0:
        save()
