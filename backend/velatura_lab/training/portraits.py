"""The training set of the style-based generator: described portraits as pictures, labels and latents.

Portrait i of a set comes from `default_rng([seed, i])` and is drawn once. Since every portrait has the same
texture, its picture follows from its description. In a textured set each has its own, as layers have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from velatura_lab.world import Portrait, render
from velatura_lab.world.portrait.description import STYLE, describe, names, sample_described
from velatura_lab.world.portrait.scene import sample

from .cores import by_cores
from .data import world_digest
from .drawn import Mapped, Shapes, available, open_arrays
from .embedded_vae import as_images, encoded, load_vae
from .networks import channels_last
from .options import Options

SIZE = 128
CHUNK = 50  # portraits that one core draws as one job
SHARE = 20  # described portraits for each textured one
LATENTS = (16, 16, 16)


@dataclass(frozen=True)
class Portraits:
    """`pictures` (N, S, S, 3) uint8; `labels` (N, S, S) uint8, the element that covers most of a pixel;
    `descriptions` (N, D) float32; `latents` (N, 16, 16, 16) float16 of the embedded autoencoder, as its
    encoder gives them. `drawn` (N / CHUNK,) tells which chunks are there."""

    seed: int
    pictures: Mapped
    labels: Mapped
    descriptions: Mapped
    latents: Mapped
    drawn: Mapped
    textured: bool = False

    def available(self) -> NDArray[np.int64]:
        """The numbers of the portraits that are drawn so far."""
        return available(self.drawn, CHUNK)

    def scene(self, index: int) -> Portrait:
        """The scene of a portrait."""
        return portrait_of(self.seed, index, self.textured)

    def images(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Pictures (B, 3, S, S) float32 in [-1, 1], in channels-last order."""
        return as_images(self.pictures[indices])


def portrait_of(seed: int, index: int, textured: bool = False) -> Portrait:
    """Portrait number `index` of a seed; `textured`: with its own texture, which no description has."""
    rng = np.random.default_rng([seed, index])
    return replace(sample(rng), style=STYLE) if textured else sample_described(rng)


def _shapes(count: int) -> Shapes:
    return {
        "pictures": ((count, SIZE, SIZE, 3), np.uint8),
        "labels": ((count, SIZE, SIZE), np.uint8),
        "descriptions": ((count, len(names())), np.float32),
        "latents": ((count, *LATENTS), np.float16),
    }


def open_portraits(work: Path, seed: int, count: int, textured: bool = False) -> Portraits:
    """The set of a seed, with a place for each of `count` portraits; `draw` draws them.

    Args:
        work: folder of all sets.
        seed: of the scenes.
        count: a multiple of CHUNK.
        textured: whether each portrait has its own texture.
    """
    name = "textured" if textured else "portraits"
    folder = work / f"{name}-{seed}-{count}-{SIZE}-{world_digest()}"
    arrays = open_arrays(folder, _shapes(count), count, CHUNK)
    return Portraits(seed, **arrays, textured=textured)


def _draw(job: tuple[Path, int, int, bool, int]) -> int:
    """Draw one chunk; return its number."""
    work, seed, count, textured, chunk = job
    torch.set_num_threads(1)
    files = open_portraits(work, seed, count, textured)
    for index in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        scene = portrait_of(seed, index, textured)
        picture = render(scene, SIZE)
        files.pictures[index] = picture.to_bytes()
        files.labels[index] = picture.masks.argmax(0).astype(np.uint8)
        files.descriptions[index] = describe(scene)
    return chunk


def draw(work: Path, seed: int, count: int, processes: int = 1, textured: bool = False) -> Portraits:
    """Draw what is missing of a set; it can be interrupted and go on, and be read meanwhile."""
    files = open_portraits(work, seed, count, textured)
    vae = channels_last(load_vae(), torch.device("cpu"))
    jobs = [(work, seed, count, textured, int(chunk)) for chunk in np.flatnonzero(~files.drawn)]
    for chunk in by_cores(_draw, jobs, processes, f"drawing {CHUNK} at a time"):
        rows = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
        files.latents[rows] = encoded(vae, files.pictures[rows]).half().numpy()
        files.latents.flush()
        files.drawn[chunk] = True
        files.drawn.flush()
    return files


def textured(pictures: int) -> int:
    """The size of the textured set beside so many described portraits."""
    return max(1, pictures // SHARE // CHUNK) * CHUNK


def draw_all(options: Options, textured_too: bool) -> None:
    """Draw what is missing of the sets of a part's training.

    Args:
        options: of the part.
        textured_too: whether the part learns from the textured set too.
    """
    draw(options.work, options.seed, options.pictures, options.drawers)
    if textured_too:
        draw(options.work, options.seed, textured(options.pictures), options.drawers, textured=True)
