"""The training set of the style-based generator: described portraits as pictures, labels and latents.

Portrait i of a set comes from `default_rng([seed, i])` and is drawn once. Since every portrait has the same
texture, its picture follows from its description.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from diffusers.models.autoencoders.autoencoder_tiny import AutoencoderTiny
from filelock import FileLock
from numpy.typing import NDArray

from velatura.bundles import BUNDLES
from velatura_lab.world import Portrait, render
from velatura_lab.world.portrait.description import describe, names, sample_described

from .cores import by_cores
from .data import world_digest
from .networks import channels_last
from .precision import mixed

SIZE = 128
CHUNK = 50  # portraits that one core draws as one job
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

    def available(self) -> NDArray[np.int64]:
        """The numbers of the portraits that are drawn so far."""
        chunks = np.flatnonzero(self.drawn)
        return (chunks[:, None] * CHUNK + np.arange(CHUNK)).ravel()

    def scene(self, index: int) -> Portrait:
        """The scene of a portrait."""
        return portrait_of(self.seed, index)


def portrait_of(seed: int, index: int) -> Portrait:
    """Portrait number `index` of a seed."""
    return sample_described(np.random.default_rng([seed, index]))


def _shapes(count: int) -> dict[str, tuple[tuple[int, ...], type]]:
    return {
        "pictures": ((count, SIZE, SIZE, 3), np.uint8),
        "labels": ((count, SIZE, SIZE), np.uint8),
        "descriptions": ((count, len(names())), np.float32),
        "latents": ((count, *LATENTS), np.float16),
        "drawn": ((-(-count // CHUNK),), np.bool_),
    }


def open_portraits(work: Path, seed: int, count: int) -> Portraits:
    """The set of a seed, with a place for each of `count` portraits; `draw` draws them.

    Args:
        work: folder of all sets.
        seed: of the scenes.
        count: a multiple of CHUNK.
    """
    if count % CHUNK:
        raise ValueError(f"the number of portraits must be a multiple of {CHUNK}, not {count}")
    folder = work / f"portraits-{seed}-{count}-{SIZE}-{world_digest()}"
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if not (folder / "drawn.npy").exists():
            for name, (shape, dtype) in _shapes(count).items():
                np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, shape).flush()
    return Portraits(
        seed, **{name: np.load(folder / f"{name}.npy", mmap_mode="r+") for name in _shapes(count)}
    )


def load_vae() -> AutoencoderTiny:
    """The embedded autoencoder."""
    vae = AutoencoderTiny.from_pretrained(VAE, local_files_only=True, low_cpu_mem_usage=False)
    return vae.float().eval().requires_grad_(False)


def _draw(job: tuple[Path, int, int, int]) -> int:
    """Draw one chunk; return its number."""
    work, seed, count, chunk = job
    torch.set_num_threads(1)
    files = open_portraits(work, seed, count)
    for index in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        scene = portrait_of(seed, index)
        picture = render(scene, SIZE)
        files.pictures[index] = picture.to_bytes()
        files.labels[index] = picture.masks.argmax(0).astype(np.uint8)
        files.descriptions[index] = describe(scene)
    return chunk


@torch.no_grad()
def encoded(vae: AutoencoderTiny, pictures: NDArray[np.uint8]) -> torch.Tensor:
    """Latents (N, 16, 16, 16) float32 of pictures (N, S, S, 3)."""
    images = torch.from_numpy(np.ascontiguousarray(pictures)).permute(0, 3, 1, 2).float() / 127.5 - 1.0
    with mixed(torch.device("cpu")):
        return vae.encode(images.contiguous(memory_format=torch.channels_last), return_dict=False)[0].float()


def draw(work: Path, seed: int, count: int, processes: int = 1) -> Portraits:
    """Draw what is missing of a set; it can be interrupted and go on, and be read meanwhile."""
    files = open_portraits(work, seed, count)
    vae = channels_last(load_vae(), torch.device("cpu"))
    jobs = [(work, seed, count, int(chunk)) for chunk in np.flatnonzero(~files.drawn)]
    for chunk in by_cores(_draw, jobs, processes, f"drawing {CHUNK} at a time"):
        rows = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
        files.latents[rows] = encoded(vae, files.pictures[rows]).half().numpy()
        files.latents.flush()
        files.drawn[chunk] = True
        files.drawn.flush()
    return files
