"""Training of the enlarger: pictures (3, h, w) as a model leaves them, to drawn ones (3, 4 h, 4 w)."""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from velatura.companions.compact import Compact

from .critic import Critic, Features, hinge_loss, perceptual_loss
from .details import SCALE, SMALL, Details, draw
from .loop import Trainer
from .networks import channels_last
from .options import Options
from .precision import mixed

PATCH = 24  # side of a small patch
PLAIN = 0.25  # progress up to which only pixels and edges count
PERCEPTUAL = 0.05  # weight of the features' difference, relative to the pixels'
ADVERSARIAL = 0.004  # weight of the critic's loss, relative to the pixels'
ROUGHNESS = 0.3  # weight of the difference in fine detail, relative to the pixels'
GRID = 2.0  # weight of steps between small pixels, relative to the pixels'
NEARBY = 16  # side, in large pixels, of the places whose fine detail is compared
#: How often a small patch is the autoencoder's picture and a blurred one; else it is the mean of the large.
DECODED, BLURRED = 0.3, 0.4
WIDEST = 1.1  # largest standard deviation of a blur, in small pixels


def train_enlarger(options: Options, rank: int) -> None:
    """Absolute errors of pixels, edges and steps, features of the judge, a critic on these, fine detail."""
    device = options.device
    data = draw(options.work, options.seed, options.pictures)  # there already
    mine = np.arange(rank, len(data.large), options.processes)
    torch.manual_seed(options.seed)
    network, critic = bilinear(Compact(scale=SCALE)), Critic()
    both = channels_last(nn.ModuleDict({"network": network, "critic": critic}), device)
    features = channels_last(Features(), device)
    trainer = Trainer("enlarger", both, options, rank, averaged=network)
    while trainer.progress.running:
        rng = trainer.random()
        small, large = (picture.to(device) for picture in batch(data, mine, rng, options.batch))
        small = small.contiguous(memory_format=torch.channels_last)
        large = large.contiguous(memory_format=torch.channels_last)
        with mixed(device):
            output = network(small)
        error = output.float() - large
        losses = {
            "pixel": error.abs().mean(),
            "edge": error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean(),
        }
        losses["grid"] = grid(error)
        loss = losses["pixel"] + losses["edge"] + GRID * losses["grid"]
        if trainer.progress.fraction > PLAIN:
            with mixed(device):
                with torch.no_grad():
                    drawn = features(large * 2.0 - 1.0)
                enlarged = features(output * 2.0 - 1.0)
                losses["critic"] = hinge_loss(critic, enlarged, drawn, ADVERSARIAL)
            losses["perceptual"] = perceptual_loss(enlarged, drawn)
            losses["rough"] = (roughness(output.float()) - roughness(large)).abs().mean()
            loss = loss + PERCEPTUAL * losses["perceptual"] + ROUGHNESS * losses["rough"] + losses["critic"]
        trainer.step(loss, losses, decay_from=0.6)
    trainer.save()


@torch.no_grad()
def bilinear(network: Compact) -> Compact:
    """The network with first weights that interpolate bilinearly, so that training begins from a picture.

    Three channels hand the picture on to the last convolution; the others begin with random weights that keep
    the variance (He et al. 2015), and without influence.
    """
    convolutions = [layer for layer in network.body if isinstance(layer, nn.Conv2d)]
    for layer in network.body:
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight, a=0.25)
            nn.init.zeros_(layer.bias)  # pyright: ignore[reportArgumentType] - these have a bias
            layer.weight[:3] = 0.0
            layer.weight[range(3), range(3), 1, 1] = 1.0
    last, scale = convolutions[-1].weight.zero_(), network.scale
    line = torch.zeros(scale, 3)  # weights of the pixel before, at and after, by place within the pixel
    offset = (torch.arange(scale) + 0.5) / scale - 0.5
    line[:, 0], line[:, 2] = (-offset).clamp(min=0.0), offset.clamp(min=0.0)
    line[:, 1] = 1.0 - offset.abs()
    kernels = line[:, None, :, None] * line[None, :, None, :]
    kernels[:, :, 1, 1] -= 1.0  # the network adds to the nearest pixel
    for channel in range(3):
        last[channel * scale**2 : (channel + 1) * scale**2, channel] = kernels.flatten(0, 1)
    return network


def roughness(pictures: Tensor) -> Tensor:
    """The mean absolute Laplacian of pictures (N, 3, h, w), by place in the small pixel, near each place.

    It says how much fine detail is there, wherever exactly its lines are (after Abrahamyan et al. 2022,
    "Gradient Variance Loss for Structure-Enhanced Image Super-Resolution"). The places within a small pixel
    count apart, because steps between small pixels would else pass for detail.

    Returns:
        (N, SCALE^2, h / NEARBY, w / NEARBY), in a large picture's values.
    """
    padded = F.pad(pictures, (1, 1, 1, 1), mode="replicate")
    middle = padded[..., 1:-1, 1:-1]
    across = padded[..., 1:-1, :-2] + padded[..., 1:-1, 2:]
    along = padded[..., :-2, 1:-1] + padded[..., 2:, 1:-1]
    detail = (across + along - 4.0 * middle).abs().mean(1, keepdim=True)
    return F.avg_pool2d(F.pixel_unshuffle(detail, SCALE), NEARBY // SCALE)


def grid(error: Tensor) -> Tensor:
    """The mean absolute slope of errors (N, 3, h, w) that is the same at one place in all small pixels near.

    Invented lines cancel out in it; steps between small pixels, which the network's nearest pixels have, do
    not.
    """
    slopes = [F.pad(error.diff(dim=3), (0, 1)), F.pad(error.diff(dim=2), (0, 0, 0, 1))]
    means = F.avg_pool2d(F.pixel_unshuffle(torch.cat(slopes, 1), SCALE), NEARBY // SCALE)
    return means.abs().mean()


def batch(
    data: Details, mine: NDArray[np.int64], rng: np.random.Generator, count: int
) -> tuple[Tensor, Tensor]:
    """Small patches (N, 3, PATCH, PATCH) and their large ones, in 0..1; turned and mirrored at random."""
    pairs = [_patch(data, int(index), rng) for index in mine[rng.integers(len(mine), size=count)]]
    small, large = (torch.stack(list(pictures)).float() / 255.0 for pictures in zip(*pairs, strict=True))
    blurred = torch.from_numpy(rng.random(count) < BLURRED)[:, None, None, None]
    return torch.where(blurred, _blurred(small, float(rng.uniform(0.3, WIDEST))), small), large


def _patch(data: Details, index: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
    which = int(rng.random() < DECODED)
    y, x = (int(value) for value in rng.integers(SMALL - PATCH + 1, size=2))
    small = data.small[index, which, y : y + PATCH, x : x + PATCH]
    ys, xs = (slice(SCALE * start, SCALE * (start + PATCH)) for start in (y, x))
    large = data.large[index, ys, xs]
    turns, mirrored = int(rng.integers(4)), bool(rng.integers(2))
    pictures: list[Tensor] = []
    for picture in (small, large):
        turned = np.rot90(picture, turns)
        turned = turned[:, ::-1] if mirrored else turned
        pictures.append(torch.from_numpy(np.ascontiguousarray(turned)).permute(2, 0, 1))
    return pictures[0], pictures[1]


def _blurred(pictures: Tensor, sigma: float) -> Tensor:
    line = torch.arange(-4.0, 5.0)
    weights = torch.exp(-0.5 * (line / sigma) ** 2)
    weights = weights / weights.sum()
    for shape in ((1, 1, 1, -1), (1, 1, -1, 1)):
        kernel = weights.reshape(shape).expand(3, 1, *weights.reshape(shape).shape[2:])
        pads = (4, 4, 0, 0) if shape[3] == -1 else (0, 0, 4, 4)
        pictures = F.conv2d(F.pad(pictures, pads, mode="replicate"), kernel, groups=3)
    return pictures
