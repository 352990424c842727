"""Training of the segmentation branch: features of the style-based generator to the parts of the portrait.

EditGAN (Ling et al. 2021, section 3.1) trains its branch on a few pictures that a person labels. The drawn
world labels every picture.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from velatura.models.families.style_segmentation import Segmentation
from velatura_lab.world.portrait.scene import ELEMENTS

from .encoder import load_encoder
from .faces import Faces, load_faces
from .loop import Trainer, load_checkpoint
from .networks import channels_last
from .options import Options
from .portraits import open_portraits
from .precision import mixed

COUNTED = 1000  # portraits whose labels tell how large the parts are
RAREST = 0.002  # share below which a part's weight grows no more


def weights(labels: NDArray[np.uint8]) -> Tensor:
    """Weights (K,) of the parts, by one over the root of their share in labels (N, S, S), 1 on average over
    the pixels: a thin part counts for more than its pixels, yet less than a large one."""
    shares = np.bincount(labels.ravel(), minlength=len(ELEMENTS)) / labels.size
    raw = np.maximum(shares, RAREST) ** -0.5
    return torch.from_numpy(raw / (raw * shares).sum()).float()


def make_segmentation(faces: Faces) -> Segmentation:
    """A branch for a generator, with random weights."""
    return Segmentation(faces.latent.generator.shape.channels, len(ELEMENTS))


def train_segmentation(options: Options, rank: int) -> None:
    """Cross-entropy with the exact labels, on generated portraits. Half of them have the code that the
    encoder finds in the picture, if one is trained, the others that of their description."""
    device, batch = options.device, options.batch
    faces = load_faces(options.work, device)
    trained = (options.work / "encoder.pt").exists()
    encoder = load_encoder(options.work, faces) if trained else None
    data = open_portraits(options.work, options.seed, options.pictures)
    torch.manual_seed(options.seed)
    network = channels_last(make_segmentation(faces), device).train()
    trainer = Trainer("segmentation", network, options, rank, decay=0.998, beta2=0.99, weight_decay=0.01)
    balance = weights(data.labels[data.available()[:COUNTED]]).to(device)
    while trainer.progress.running:
        rng = trainer.random()
        drawn = data.available()
        rows = np.sort(drawn[rng.integers(len(drawn), size=batch)])
        with torch.no_grad():
            ws = faces.wplus(faces.w(torch.from_numpy(data.descriptions[rows]).to(device))).clone()
            if encoder is not None:
                with mixed(device):
                    found = encoder(data.images(rows[::2]).to(device)).float()
                ws[::2] = faces.w_avg + found
            made = faces.synthesised(ws)
            pictures = faces.decoded(made.picture)
        with mixed(device):
            logits = network(made.features, pictures)
        labels = torch.from_numpy(data.labels[rows].astype(np.int64)).to(device)
        loss = F.cross_entropy(logits.float(), labels, balance)
        trainer.step(loss, {"parts": loss}, decay_from=0.4)
    trainer.save()


def load_segmentation(work: Path, faces: Faces) -> Segmentation:
    """The averaged weights of the branch that was trained in a folder, frozen.

    Raises FileNotFoundError where there is none.
    """
    state = load_checkpoint(work / "segmentation.pt")
    if state is None:
        raise FileNotFoundError(f"no trained segmentation in {work}; run `velatura train segmentation` first")
    network = make_segmentation(faces)
    network.load_state_dict(state["ema"])
    return channels_last(network, faces.w_avg.device).eval().requires_grad_(False)
