"""Finishing the decoder with the encoder held: latents, and all that was trained on them, stay valid."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from .autoencoder import reconstruction_losses, training_batch, weight_table
from .critic import Critic, Features, hinge_loss, perceptual_loss
from .data import load_dataset
from .latents import encode_share, load_autoencoder
from .loop import Trainer
from .options import Options
from .precision import mixed

NOISE = 0.12  # of the latents: about the error a denoising network leaves
PERCEPTUAL = 0.05  # weight of the features' difference, against the pixels'
ADVERSARIAL = 0.01  # weight of the critic's loss, against the pixels'


def train_decoder(options: Options, rank: int) -> None:
    """The autoencoder's losses and two on the judge's features, from latents that are ready."""
    device = options.device
    data = load_dataset(options.work, options.seed, options.pictures, options.drawers, options.profile.size)
    latents = encode_share(data, options, rank).to(device)
    data = data.resident(device)
    decoder = load_autoencoder(options.work).decoder.requires_grad_(True)
    both = nn.ModuleDict({"decoder": decoder, "critic": Critic()})
    both = both.to(device, memory_format=torch.channels_last)
    features = Features().to(device, memory_format=torch.channels_last)
    trainer = Trainer("decoder", both, options, rank, averaged=decoder)
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
            with torch.no_grad():
                drawn = features(images)
            decoded = features(output)
            critic = hinge_loss(both["critic"], decoded, drawn, ADVERSARIAL)
        losses = reconstruction_losses(output.float(), images, weight)
        losses["perceptual"] = perceptual_loss(decoded, drawn)
        losses["critic"] = critic
        pixels = losses["pixel"] + losses["edge"] + losses["colour"]
        trainer.step(pixels + PERCEPTUAL * losses["perceptual"] + critic, losses, decay_from=0.2)
    trainer.save()
