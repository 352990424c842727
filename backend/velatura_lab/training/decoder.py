"""Training of the decoder with a fixed encoder, so that latents and networks trained on them stay valid."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from .autoencoder import reconstruction_losses, training_batch, weight_table
from .critic import Critic, Features, hinge_loss, perceptual_loss
from .data import load_dataset
from .latents import encode_share, load_autoencoder
from .loop import Trainer
from .networks import channels_last
from .options import Options
from .precision import mixed

NOISE = 0.12  # on latents: about the error of a denoising network
PERCEPTUAL = 0.05  # weight of the features' difference, relative to the pixels'
ADVERSARIAL = 0.01  # weight of the critic's loss, relative to the pixels'


def train_decoder(options: Options, rank: int) -> None:
    """The autoencoder's losses and two losses on the judge's features, from stored latents."""
    device = options.device
    data = load_dataset(options.work, options.seed, options.pictures, options.drawers, options.profile.size)
    latents = encode_share(data, options, rank).to(device)
    data = data.resident(device)
    decoder = load_autoencoder(options.work).decoder.requires_grad_(True)
    critic = Critic()
    both = channels_last(nn.ModuleDict({"decoder": decoder, "critic": critic}), device)
    features = channels_last(Features(), device)
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
            adversarial = hinge_loss(critic, decoded, drawn, ADVERSARIAL)
        losses = reconstruction_losses(output.float(), images, weight)
        losses["perceptual"] = perceptual_loss(decoded, drawn)
        losses["critic"] = adversarial
        pixels = losses["pixel"] + losses["edge"] + losses["colour"]
        trainer.step(pixels + PERCEPTUAL * losses["perceptual"] + adversarial, losses, decay_from=0.2)
    trainer.save()
