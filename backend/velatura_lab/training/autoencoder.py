"""Training of the autoencoder: pictures (3, 128, 128) to latents (16, 16, 16) and back."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

from velatura_lab.world import elements

from .data import KIND_NAMES, MASKS, Dataset, load_dataset
from .loop import Trainer
from .networks import channels_last, make_autoencoder
from .options import Options
from .precision import mixed
from .warm import warm_start_autoencoder

LATENT_NOISE = 0.15
EDGE = 0.8  # weight of the edges' loss, against the pixels'

#: Loss weight of an element's pixels, 1 by default.  Small and detailed elements have more.
ELEMENT_WEIGHTS: dict[str, float] = {
    **dict.fromkeys(("face", "mouth", "beard", "glasses"), 4.0),
    **dict.fromkeys(("sun", "moon", "castle", "house"), 3.0),
    **dict.fromkeys(("apple", "pear", "cup", "bowl", "vase", "ball", "cube", "bear"), 3.0),
    **dict.fromkeys(("cake", "bottle", "basket", "flowers"), 3.0),
    **dict.fromkeys(("hair", "hat", "trees", "blossom", "river", "street", "tablecloth"), 2.0),
}


def weight_table() -> torch.Tensor:
    """(kinds, MASKS): the weight of each element of each kind."""
    table = torch.ones(len(KIND_NAMES), MASKS)
    for row, kind in zip(table, KIND_NAMES, strict=True):
        for index, name in enumerate(elements(kind)):
            row[index] = ELEMENT_WEIGHTS.get(name, 1.0)
    return table


def pixel_weights(shares: torch.Tensor, weights: torch.Tensor, size: int) -> torch.Tensor:
    """Weights (B, 1, size, size) of mean 1, from masks (B, E, 32, 32) and elements' weights (B, E)."""
    weight = torch.einsum("behw,be->bhw", shares, weights).unsqueeze(1)
    weight = F.interpolate(weight, (size, size), mode="bilinear")
    return weight / weight.mean((2, 3), keepdim=True)


def reconstruction_losses(
    output: torch.Tensor, images: torch.Tensor, weight: torch.Tensor
) -> dict[str, torch.Tensor]:
    """Absolute errors of pixels, edges (differences of neighbours) and colour (means of 8 x 8 pixels)."""
    error = output - images
    edges = ((error[..., 1:] - error[..., :-1]).abs() * weight[..., 1:]).mean()
    edges = edges + ((error[..., 1:, :] - error[..., :-1, :]).abs() * weight[..., 1:, :]).mean()
    return {
        "pixel": (error.abs() * weight).mean(),
        "edge": edges,
        "colour": F.avg_pool2d(error, 8).abs().mean(),
    }


def moment_loss(latents: torch.Tensor) -> torch.Tensor:
    """Mean square of each channel's mean, and of its standard deviation less 1, over the batch."""
    rows = latents.float().transpose(0, 1).flatten(1)
    return (rows.mean(1) ** 2).mean() + ((rows.std(1) - 1.0) ** 2).mean()


def mask_loss(logits: torch.Tensor, shares: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of masks (B, E, h, w) with logits (B, kinds * E, h, w), those of each picture's kind."""
    own = logits.unflatten(1, (-1, shares.shape[1]))[torch.arange(len(kinds), device=kinds.device), kinds]
    return F.cross_entropy(own, shares)


def training_batch(
    data: Dataset, pick: NDArray[np.int64], mirrored: bool, table: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pictures (B, 3, S, S) in -1..1, their masks (B, E, 32, 32) and their pixels' weights (B, 1, S, S)."""
    images, shares = data.images(pick) * 2.0 - 1.0, data.shares(pick)
    if mirrored:
        images, shares = images.flip(3), shares.flip(3)
    weight = pixel_weights(shares, table[data.kind(pick)], images.shape[-1])
    return images.contiguous(memory_format=torch.channels_last), shares, weight


def train_autoencoder(options: Options, rank: int) -> None:
    """Weighted L1 with noise on the latents, and a linear map from latents to masks.

    The noise gives neighbouring latents neighbouring pictures, so that small errors of a denoising network
    stay small.  The map makes elements easy to tell apart in latent space.
    """
    device, profile = options.device, options.profile
    data = load_dataset(options.work, options.seed, options.pictures, options.drawers, profile.size)
    data = data.resident(device)
    vae = make_autoencoder(profile)
    warm_start_autoencoder(vae, options.start)
    reader = nn.Conv2d(profile.latent_channels, len(KIND_NAMES) * MASKS, 1)
    both = channels_last(nn.ModuleDict({"vae": vae, "reader": reader}), device)
    trainer = Trainer("autoencoder", both, options, rank, averaged=vae)
    table = weight_table().to(device)
    mine = np.arange(rank, len(data), options.processes)
    while trainer.progress.running:
        rng = trainer.random()
        pick = mine[rng.integers(len(mine), size=options.batch)]
        images, shares, weight = training_batch(data, pick, rng.random() < 0.5, table)
        with mixed(device):
            latents = vae.encode(images, return_dict=False)[0]
            level = LATENT_NOISE * torch.rand(len(pick), 1, 1, 1, device=device)
            output = vae.decode(latents + level * torch.randn_like(latents), return_dict=False)[0]
        losses = reconstruction_losses(output.float(), images, weight)
        places = F.adaptive_avg_pool2d(shares, latents.shape[-1])
        losses["masks"] = mask_loss(reader(latents.float()), places, data.kind(pick))
        losses["moments"] = moment_loss(latents)
        loss = losses["pixel"] + EDGE * losses["edge"] + losses["colour"]
        trainer.step(loss + 0.02 * losses["masks"] + 0.05 * losses["moments"], losses)
    trainer.save()
