"""The pictures from which the enlarger learns: a small one as a model leaves it, and a large drawn one.

A part of a scene is drawn at SIZE pixels through a view that is NEAR to FAR times closer than the whole, as
in a picture of NEAR SIZE to FAR SIZE pixels. Its small form is the mean of SCALE x SCALE pixels; the second
small form is the embedded autoencoder's reconstruction of the first, from noisy latents. Picture i of a set
comes from `default_rng([seed, i])` and is drawn once.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from velatura_lab.world import View, render, sample_scene

from .cores import by_cores
from .data import world_digest
from .drawn import Mapped, Shapes, available, open_arrays
from .embedded_vae import decoded, encoded, load_vae
from .networks import channels_last

CHUNK = 20  # pictures that one core draws as one job
SIZE = 128
SCALE = 4
SMALL = SIZE // SCALE
NEAR, FAR = 3.0, 9.0
NOISE = 0.12  # on latents: about the error of a denoising network


@dataclass(frozen=True)
class Details:
    """`large` (N, SIZE, SIZE, 3) and `small` (N, 2, SMALL, SMALL, 3), uint8: the mean, the reconstruction.
    `drawn` (N / CHUNK,) tells which chunks are there."""

    seed: int
    large: Mapped
    small: Mapped
    drawn: Mapped

    def available(self) -> NDArray[np.int64]:
        """The numbers of the pictures that are drawn so far."""
        return available(self.drawn, CHUNK)


def _shapes(count: int) -> Shapes:
    return {
        "large": ((count, SIZE, SIZE, 3), np.uint8),
        "small": ((count, 2, SMALL, SMALL, 3), np.uint8),
    }


def open_details(work: Path, seed: int, count: int) -> Details:
    """The set of a seed, with a place for each of `count` pictures; `draw` draws them.

    Args:
        work: folder of all sets.
        seed: of the scenes.
        count: a multiple of CHUNK.
    """
    folder = work / f"details-{seed}-{count}-{SIZE}-{world_digest()}"
    return Details(seed, **open_arrays(folder, _shapes(count), count, CHUNK))


def near_view(rng: np.random.Generator) -> View:
    """A part of the scene, seen from near."""
    zoom = float(np.exp(rng.uniform(np.log(NEAR), np.log(FAR))))
    reach = 0.95 * (1.0 - 1.0 / zoom)
    return View(float(rng.uniform(-reach, reach)), float(rng.uniform(-reach, reach)), zoom)


def details_of(rng: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """A picture (SIZE, SIZE, 3) and its small form (SMALL, SMALL, 3)."""
    scene = sample_scene(rng)
    picture = render(scene, SIZE, near_view(rng)).rgb
    mean = picture.reshape(SMALL, SCALE, SMALL, SCALE, 3).mean((1, 3))
    large, small = (np.round(part * 255.0).astype(np.uint8) for part in (picture, mean))
    return large, small


def _draw(job: tuple[Path, int, int, int]) -> int:
    """Draw one chunk; return its number."""
    work, seed, count, chunk = job
    torch.set_num_threads(1)
    details = open_details(work, seed, count)
    for index in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        details.large[index], details.small[index] = details_of(np.random.default_rng([seed, index]))
    return chunk


def draw(work: Path, seed: int, count: int, processes: int = 1) -> Details:
    """Draw what is missing of a set; it can be interrupted and go on, and be read meanwhile."""
    details = open_details(work, seed, count)
    vae = channels_last(load_vae(), torch.device("cpu"))
    jobs = [(work, seed, count, int(chunk)) for chunk in np.flatnonzero(~details.drawn)]
    for chunk in by_cores(_draw, jobs, processes, f"drawing {CHUNK} at a time"):
        rows = slice(chunk * CHUNK, (chunk + 1) * CHUNK)
        details.small[rows, 1] = reconstructed(vae, details.small[rows, 0], seed=[seed, chunk])
        details.drawn[chunk] = True
        details.drawn.flush()
    return details


def reconstructed(vae: Any, pictures: NDArray[np.uint8], seed: list[int]) -> NDArray[np.uint8]:
    """Pictures (N, s, s, 3), encoded, with noise of up to NOISE on their latents, and decoded."""
    z = encoded(vae, pictures).numpy()
    rng = np.random.default_rng([*seed, 1])
    amount = NOISE * rng.random((len(z), 1, 1, 1))
    z = torch.from_numpy((z + amount * rng.standard_normal(z.shape)).astype(np.float32))
    return decoded(vae, z)
