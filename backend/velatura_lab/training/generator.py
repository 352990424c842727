"""Training of the style-based generator: descriptions of portraits to latents of the embedded autoencoder.

Adversarial training needs millions of pictures. This generator learns the renderer instead: a portrait's
description is its label, the code z has no numbers, and the target is the one picture of that description.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from velatura.models.families.stylegan2 import Shape, StyleGAN2
from velatura_lab.world.portrait import ELEMENTS
from velatura_lab.world.portrait.description import names

from .critic import Features, perceptual_loss
from .embedded_vae import load_vae
from .loop import Trainer
from .networks import channels_last
from .options import Options
from .portraits import LATENTS, open_portraits
from .precision import mixed

SHAPE = Shape(
    z_dim=0,
    c_dim=len(names()),
    w_dim=192,
    channels=(256, 256, 256),
    img_channels=LATENTS[0],
    mapping_layers=4,
    lr_multiplier=0.1,
)
SEEN = 0.75  # progress from which decoded pictures count too
DECODED = 4  # portraits of a step that are decoded then
#: How much more a place counts that shows an element. Mouth and wrinkles are small, and what is edited most.
WEIGHTS = {"face": 2.0, "mouth": 6.0, "beard": 2.0, "glasses": 2.0, "hair": 1.0}


class LatentGenerator(nn.Module):
    """The generator with mean and standard deviation of each channel of the latents that it makes."""

    mean: Tensor
    std: Tensor

    def __init__(self, shape: Shape = SHAPE) -> None:
        super().__init__()
        self.generator = StyleGAN2(shape)
        self.register_buffer("mean", torch.zeros(LATENTS[0], 1, 1))
        self.register_buffer("std", torch.ones(LATENTS[0], 1, 1))

    def forward(self, c: Tensor) -> Tensor:
        """Standardised latents (N, 16, 16, 16) of descriptions (N, D)."""
        generator = self.generator
        w = generator.mapping(None, c)
        styles = generator.synthesis.styles(w[:, None].expand(-1, generator.shape.num_ws, -1))
        with mixed(c.device):
            return generator.synthesis(styles).picture.float()


def place_weights(labels: NDArray[np.uint8]) -> Tensor:
    """Weights of the pixels (N, 1, S, S), of mean 1, from the elements (N, S, S) that they show."""
    table = torch.tensor([1.0 + WEIGHTS.get(element, 0.0) for element in ELEMENTS])
    weights = table[torch.from_numpy(labels.astype(np.int64))][:, None]
    return weights / weights.mean((2, 3), keepdim=True)


def train_generator(options: Options, rank: int) -> None:
    """Least squares in the latents, with a falling rate; late also on decoded pictures and the judge's
    features of them."""
    device = options.device
    data = open_portraits(options.work, options.seed, options.pictures)
    network = channels_last(LatentGenerator(), device).train()
    for name, parameter in network.named_parameters():
        if name.endswith("noise_strength"):  # nothing in a described portrait is left to chance
            parameter.requires_grad_(False)
    first = np.array(data.latents[data.available()[:2000]], np.float32)
    network.mean.copy_(torch.from_numpy(first.mean((0, 2, 3)))[:, None, None])
    network.std.copy_(torch.from_numpy(first.std((0, 2, 3)))[:, None, None])
    trainer = Trainer("generator", network, options, rank, decay=0.999, beta2=0.99, weight_decay=0.0)
    vae = channels_last(load_vae(), device)
    features = Features().to(device)
    while trainer.progress.running:
        rng = trainer.random()
        drawn = data.available()
        indices = np.sort(drawn[rng.integers(len(drawn), size=options.batch)])
        c = torch.from_numpy(data.descriptions[indices]).to(device)
        target = torch.from_numpy(data.latents[indices].astype(np.float32)).to(device)
        z = network(c)
        weights = place_weights(data.labels[indices]).to(device)
        errors = (z - (target - network.mean) / network.std).square()
        loss = (errors * F.adaptive_avg_pool2d(weights, z.shape[-2:])).mean()
        losses = {"latents": loss}
        if trainer.progress.fraction > SEEN:
            some = z[:DECODED] * network.std + network.mean
            with mixed(device):
                seen = vae.decode(some.contiguous(memory_format=torch.channels_last), return_dict=False)[0]
            exact = torch.from_numpy(np.ascontiguousarray(data.pictures[indices[:DECODED]])).to(device)
            images = exact.permute(0, 3, 1, 2).float() / 127.5 - 1.0
            losses["pixels"] = ((seen.float() - images).abs() * weights[:DECODED]).mean()
            losses["features"] = perceptual_loss(features(seen.float()), features(images))
            loss = loss + losses["pixels"] + 0.1 * losses["features"]
        trainer.step(loss, losses, decay_from=0.5)
    trainer.save()
