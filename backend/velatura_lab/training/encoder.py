"""Training of the encoder of the style-based generator: portraits to codes in W+.

A drawn portrait has an exact code, the one that the mapping gives to its description; the encoder learns it
by example. Photographs have none: there e4e needs a critic of codes (Tov et al. 2021).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from velatura.models.families.style_encoder import CHANNELS, HIDDEN, Encoder
from velatura_lab.readers.judge import load_judge
from velatura_lab.world.portrait.description import describe, names
from velatura_lab.world.portrait.scene import Portrait, Setting

from .augment import disturb
from .critic import Features, perceptual_loss
from .faces import Faces, load_faces
from .loop import Trainer, load_checkpoint
from .networks import channels_last
from .options import Options
from .portraits import SIZE, open_portraits, textured
from .precision import mixed

GENTLE = 0.4  # strength of the change of the pictures
SLIDE = 0.06  # most that a picture is moved, in halves of its side
ZOOM = 0.06  # most that it is enlarged or reduced
READ_ONLY = 0.4  # progress up to which only the description counts
SEEN = 0.7  # progress from which decoded pictures count too
DECODED = 4  # pictures of a step that are decoded then
OFFSETS = 0.05  # weight of the offsets' size (e4e's delta regularisation)


def moved(images: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """Pictures (N, 3, s, s), each moved and zoomed a little, with their descriptions (N, D) adjusted."""
    n, device = len(images), images.device
    shift = torch.empty(n, 2, device=device).uniform_(-SLIDE, SLIDE)
    zoom = torch.empty(n, device=device).uniform_(1.0 - ZOOM, 1.0 + ZOOM)
    return windowed(images, shift, zoom), framed(c, shift, zoom)


def windowed(images: Tensor, shift: Tensor, zoom: Tensor) -> Tensor:
    """Pictures (N, 3, s, s) seen through a window; see `framed`. Beyond their border they go on as it is."""
    scale = torch.eye(2, device=images.device) / zoom[:, None, None]
    grid = F.affine_grid(torch.cat([scale, shift[..., None]], 2), list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, "bilinear", "border", align_corners=False)


def framed(c: Tensor, shift: Tensor, zoom: Tensor) -> Tensor:
    """Descriptions (N, D) of the same portraits seen through a window.

    Args:
        c: (N, D).
        shift: (N, 2), the window's centre (x, y) in halves of the picture's side.
        zoom: (N,), above 1 where the portrait becomes larger.
    """
    c = c.clone()
    for name, offset in (("centre_x", shift[:, 0]), ("centre_y", shift[:, 1]), ("scale", 0.0)):
        k = names().index(name)
        at_0, at_1 = (describe(Portrait(setting=Setting(**{name: place})))[k].item() for place in (0.0, 1.0))
        place = (c[:, k] - at_0) / (at_1 - at_0)
        c[:, k] = at_0 + (place - offset) * zoom * (at_1 - at_0)
    return c


def make_encoder(faces: Faces) -> Encoder:
    """An encoder for a generator, with random weights."""
    shape = faces.latent.generator.shape
    return Encoder(SIZE, shape.num_ws, shape.w_dim, CHANNELS)


def begin_with_judge(encoder: Encoder) -> None:
    """Copy the convolutions of the package's judge, which read the same pictures."""
    layers = load_judge().body
    for i, level in enumerate(encoder.pyramid):
        for k in (0, 1):
            level.get_submodule(str(k)).load_state_dict(layers[3 * i + k].state_dict())


def train_encoder(options: Options, rank: int) -> None:
    """First only the description, which needs no generator, then also squared distances from the exact w and,
    through the frozen synthesis, from the exact latents; late the differences of decoded pictures and of the
    judge's features of them."""
    device, batch = options.device, options.batch
    faces = load_faces(options.work, device)
    exact = open_portraits(options.work, options.seed, options.pictures)
    own = open_portraits(options.work, options.seed, textured(options.pictures), textured=True)
    torch.manual_seed(options.seed)
    encoder = make_encoder(faces)
    begin_with_judge(encoder)
    told = nn.Linear(sum(HIDDEN), len(names()))  # for training only
    network = channels_last(nn.ModuleDict({"encoder": encoder, "told": told}), device).train()
    trainer = Trainer(
        "encoder", network, options, rank, averaged=encoder, decay=0.998, beta2=0.99, weight_decay=0.01
    )
    features = channels_last(Features(), device)
    still = batch - batch // 4  # the others are moved: their latents are not known, their code is
    while trainer.progress.running:
        rng = trainer.random()
        few = batch // 4 if own.drawn.any() else 0
        picks = [
            (data, np.sort(rows[rng.integers(len(rows), size=count)]))
            for data, rows, count in (
                (own, own.available(), few),
                (exact, exact.available(), batch - few),
            )
            if count
        ]
        images = torch.cat([data.images(rows) for data, rows in picks]).to(device)
        c = torch.cat([torch.from_numpy(data.descriptions[rows]) for data, rows in picks]).to(device)
        latents = np.concatenate([data.latents[rows] for data, rows in picks])[:still]
        seen = images.clone()
        seen[still:], c[still:] = moved(images[still:], c[still:])
        seen = disturb(seen * 0.5 + 0.5, GENTLE) * 2.0 - 1.0
        fraction = trainer.progress.fraction
        with mixed(device):
            top, below = encoder.rows(seen.contiguous(memory_format=torch.channels_last))
            read = told(torch.cat([top, below], 1))
        losses = {"description": F.mse_loss(read.float(), c)}
        loss = losses["description"]
        if fraction > READ_ONLY:
            ws = encoder.codes(top.float(), below.float()) + faces.w_avg
            losses["w"] = F.mse_loss(ws[:, 0], faces.w(c)) / faces.spread**2
            losses["offsets"] = (ws[:, 1:] - ws[:, :1]).square().mean() / faces.spread**2
            z = faces.synthesised(ws[:still]).picture
            target = faces.standardised(torch.from_numpy(latents.astype(np.float32)).to(device))
            losses["latents"] = F.mse_loss(z, target)
            loss = loss + losses["w"] + losses["latents"] + OFFSETS * losses["offsets"]
            if fraction > SEEN:
                some = rng.permutation(still)[:DECODED]
                decoded = faces.decoded(z[some])
                losses["pixels"] = F.l1_loss(decoded, images[some])
                losses["features"] = perceptual_loss(features(decoded), features(images[some]))
                loss = loss + losses["pixels"] + 0.1 * losses["features"]
        trainer.step(loss, losses, decay_from=0.6)
    trainer.save()


def load_encoder(work: Path, faces: Faces) -> Encoder:
    """The averaged weights of the encoder that was trained in a folder, frozen.

    Raises FileNotFoundError where there is none.
    """
    state = load_checkpoint(work / "encoder.pt")
    if state is None:
        raise FileNotFoundError(f"no trained encoder in {work}; run `velatura train encoder` first")
    encoder = make_encoder(faces)
    encoder.load_state_dict(state["ema"])
    return channels_last(encoder, faces.w_avg.device).eval().requires_grad_(False)
