"""The training set of the style-based generator: described portraits as pictures, labels and latents.

Portrait i of a set comes from `default_rng([seed, i])` and is drawn once. Since every portrait has the same
texture, its picture follows from its description. In a textured set each has its own, as layers have.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from filelock import FileLock
from numpy.typing import NDArray

from velatura.bundles import BUNDLES
from velatura_lab.world import Portrait, render
from velatura_lab.world.portrait.description import STYLE, describe, names, sample_described
from velatura_lab.world.portrait.scene import sample

from .cores import by_cores
from .data import world_digest
from .networks import channels_last
from .options import Options
from .precision import mixed

SIZE = 128
CHUNK = 50  # portraits that one core draws as one job
SHARE = 20  # described portraits for each textured one
LATENTS = (16, 16, 16)
VAE = BUNDLES / "velatura-mini" / "vae"

Mapped = np.memmap[Any, np.dtype[Any]]


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
        chunks = np.flatnonzero(self.drawn)
        return (chunks[:, None] * CHUNK + np.arange(CHUNK)).ravel()

    def scene(self, index: int) -> Portrait:
        """The scene of a portrait."""
        return portrait_of(self.seed, index, self.textured)

    def images(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Pictures (B, 3, S, S) float32 in [-1, 1], in channels-last order."""
        return as_images(self.pictures[indices])


def as_images(pictures: NDArray[np.uint8]) -> torch.Tensor:
    """Pictures (B, S, S, 3) uint8 as (B, 3, S, S) float32 in [-1, 1], in channels-last order."""
    return torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1.0


def portrait_of(seed: int, index: int, textured: bool = False) -> Portrait:
    """Portrait number `index` of a seed; `textured`: with its own texture, which no description has."""
    rng = np.random.default_rng([seed, index])
    return replace(sample(rng), style=STYLE) if textured else sample_described(rng)


def _shapes(count: int) -> dict[str, tuple[tuple[int, ...], type]]:
    return {
        "pictures": ((count, SIZE, SIZE, 3), np.uint8),
        "labels": ((count, SIZE, SIZE), np.uint8),
        "descriptions": ((count, len(names())), np.float32),
        "latents": ((count, *LATENTS), np.float16),
        "drawn": ((-(-count // CHUNK),), np.bool_),
    }


def open_portraits(work: Path, seed: int, count: int, textured: bool = False) -> Portraits:
    """The set of a seed, with a place for each of `count` portraits; `draw` draws them.

    Args:
        work: folder of all sets.
        seed: of the scenes.
        count: a multiple of CHUNK.
        textured: whether each portrait has its own texture.
    """
    if count % CHUNK:
        raise ValueError(f"the number of portraits must be a multiple of {CHUNK}, not {count}")
    name = "textured" if textured else "portraits"
    folder = work / f"{name}-{seed}-{count}-{SIZE}-{world_digest()}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "drawn.npy").exists():
            for name, (shape, dtype) in _shapes(count).items():
                np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, shape).flush()
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r+") for name in _shapes(count)}
    return Portraits(seed, **arrays, textured=textured)


def load_vae() -> AutoencoderTiny:
    """The embedded autoencoder."""
    vae = AutoencoderTiny.from_pretrained(VAE, local_files_only=True, low_cpu_mem_usage=False)
    return vae.float().eval().requires_grad_(False)


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


@torch.no_grad()
def encoded(vae: AutoencoderTiny, pictures: NDArray[np.uint8]) -> torch.Tensor:
    """Latents (N, 16, 16, 16) float32 of pictures (N, S, S, 3)."""
    images = as_images(pictures)
    with mixed(torch.device("cpu")):
        return vae.encode(images.contiguous(memory_format=torch.channels_last), return_dict=False)[0].float()


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
