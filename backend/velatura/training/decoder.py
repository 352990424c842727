"""Finishing the decoder with the encoder held: latents, and all that was trained on them, stay valid."""

from __future__ import annotations

import numpy as np
import torch

from .autoencoder import reconstruction_losses, training_batch, weight_table
from .data import load_dataset
from .latents import encode_share, load_autoencoder
from .loop import Options, Trainer
from .precision import mixed

NOISE = 0.12  # of the latents: about the error a denoising network leaves


def train_decoder(options: Options, rank: int) -> None:
    """The autoencoder's losses with more weight on edges, from latents that are ready."""
    device = options.device
    data = load_dataset(options.work, options.seed, options.pictures, options.drawers, options.profile.size)
    latents = encode_share(data, options, rank).to(device)
    data = data.resident(device)
    decoder = load_autoencoder(options.work).decoder.requires_grad_(True)
    decoder = decoder.to(device, memory_format=torch.channels_last)
    trainer = Trainer("decoder", decoder, options, rank)
    table = weight_table().to(device)
    mine = np.arange(rank, len(data), options.processes)
    while trainer.progress.running:
        rng = trainer.random()
        pick, mirrored = rng.integers(len(mine), size=options.batch), int(rng.integers(2))
        images, _, weight = training_batch(data, mine[pick], bool(mirrored), table)
        z = latents[torch.from_numpy(pick).to(device), mirrored].float()
        z = z + NOISE * torch.rand(len(pick), 1, 1, 1, device=device) * torch.randn_like(z)
        with mixed(device):
            output = decoder(z.contiguous(memory_format=torch.channels_last))
        losses = reconstruction_losses(output.float(), images, weight)
        trainer.step(losses["pixel"] + losses["edge"] + losses["colour"], losses, decay_from=0.2)
    trainer.save()
