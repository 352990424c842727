"""Training of the autoencoder: a picture of 128 pixels a side in 16 x 16 x 16 numbers and back."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from velatura_lab.world import elements

from .data import KIND_NAMES, MASKS, Dataset, load_dataset
from .loop import Trainer
from .networks import make_autoencoder
from .options import Options
from .precision import mixed
from .warm import warm_start_autoencoder

LATENT_NOISE = 0.15
EDGE = 0.8  # weight of the edges' loss, against the pixels'

#: Weight of a pixel of an element, where it is not 1: what is small or full of detail must not drown.
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
    """Weight (B, 1, size, size), mean one, from masks (B, E, 32, 32) and their elements' weights (B, E)."""
    weight = torch.einsum("behw,be->bhw", shares, weights).unsqueeze(1)
    weight = F.interpolate(weight, (size, size), mode="bilinear")
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


def mask_loss(logits: torch.Tensor, shares: torch.Tensor, kinds: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of masks (B, E, h, w) with the logits (B, kinds * E, h, w) of each picture's own kind."""
    own = logits.unflatten(1, (-1, shares.shape[1]))[torch.arange(len(kinds), device=kinds.device), kinds]
    return F.cross_entropy(own, shares)


def training_batch(
    data: Dataset, pick: np.ndarray, mirrored: bool, table: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Pictures in -1..1, their masks and the weights of their pixels."""
    images, shares = data.images(pick) * 2.0 - 1.0, data.shares(pick)
    if mirrored:
        images, shares = images.flip(3), shares.flip(3)
    weight = pixel_weights(shares, table[data.kind(pick)], images.shape[-1])
    return images.contiguous(memory_format=torch.channels_last), shares, weight


def train_autoencoder(options: Options, rank: int) -> None:
    """Weighted L1 with noise on the latents, and a linear reading of the masks from them.

    The noise makes neighbouring latents mean neighbouring pictures, so that the small errors of a
    denoising network stay small; the reading makes elements easy to tell apart in latent space.
    """
    device, profile = options.device, options.profile
    data = load_dataset(options.work, options.seed, options.pictures, options.drawers, profile.size)
    data = data.resident(device)
    vae = make_autoencoder(profile)
    warm_start_autoencoder(vae, options.start)
    reader = nn.Conv2d(profile.latent_channels, len(KIND_NAMES) * MASKS, 1)
    both = nn.ModuleDict({"vae": vae, "reader": reader}).to(device, memory_format=torch.channels_last)
    trainer = Trainer("autoencoder", both, options, rank, averaged=vae)
    table = weight_table().to(device)
    mine = np.arange(rank, len(data), options.processes)
    while trainer.progress.running:
        rng = trainer.random()
        pick = mine[rng.integers(len(mine), size=options.batch)]
        images, shares, weight = training_batch(data, pick, rng.random() < 0.5, table)
        with mixed(device):
            latents = vae.encode(images).latents
            level = LATENT_NOISE * torch.rand(len(pick), 1, 1, 1, device=device)
            output = vae.decode(latents + level * torch.randn_like(latents)).sample
        losses = reconstruction_losses(output.float(), images, weight)
        places = F.adaptive_avg_pool2d(shares, latents.shape[-1])
        losses["masks"] = mask_loss(reader(latents.float()), places, data.kind(pick))
        losses["moments"] = moment_loss(latents)
        loss = losses["pixel"] + EDGE * losses["edge"] + losses["colour"]
        trainer.step(loss + 0.02 * losses["masks"] + 0.05 * losses["moments"], losses)
    trainer.save()
