"""The training set: scenes numbered from a seed, drawn once by all cores and kept as plain arrays.

Scene number i of a set is drawn from `default_rng([seed, i])`, so a set needs to store only what is
slow to make: its pictures and masks.  Captions are worded anew each time a picture is used.
"""

from __future__ import annotations

import multiprocessing
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from velatura.world import ELEMENTS, Caption, Scene, View, caption, render, sample_scene

SIZE = 128  # side of a picture
MASK_SIZE = 32  # side of a stored mask
VISIBLE = 0.002  # an element covering less of the picture than this is not worded


@dataclass(frozen=True)
class Dataset:
    """`pictures` (N, 128, 128, 3) and `masks` (N, 8, 32, 32), both uint8, memory-mapped."""

    seed: int
    pictures: NDArray[np.uint8]
    masks: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.pictures)

    def scene(self, index: int) -> Scene:
        return sample_scene(np.random.default_rng([self.seed, index]))

    def images(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Pictures (B, 3, 128, 128) in 0..1."""
        return torch.from_numpy(self.pictures[indices]).permute(0, 3, 1, 2).float() / 255.0

    def shares(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Masks (B, 8, 32, 32) in 0..1."""
        return torch.from_numpy(self.masks[indices]).float() / 255.0

    def visible(self, index: int) -> frozenset[str]:
        area = self.masks[index].reshape(len(ELEMENTS), -1).mean(1) / 255.0
        return frozenset(name for name, share in zip(ELEMENTS, area, strict=True) if share > VISIBLE)

    def caption(self, index: int, rng: np.random.Generator, visible: frozenset[str]) -> Caption:
        return caption(self.scene(index), rng, visible.__contains__)


def sample_view(rng: np.random.Generator) -> View:
    """Mostly the whole portrait, sometimes nearer: an editor shows the model parts of pictures too."""
    if rng.random() < 0.72:
        return View(0.0, 0.0, float(rng.uniform(0.96, 1.06)))
    zoom = float(rng.uniform(1.06, 1.75))
    reach = 1.0 - 1.0 / zoom
    return View(float(rng.uniform(-0.7, 0.7)) * reach, float(rng.uniform(-1.0, 1.0)) * reach, zoom)


def _draw(job: tuple[int, int]) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    seed, index = job
    rng = np.random.default_rng([seed, index])
    scene = sample_scene(rng)
    picture = render(scene, SIZE, sample_view(rng))
    step = SIZE // MASK_SIZE
    masks = picture.masks.reshape(len(ELEMENTS), MASK_SIZE, step, MASK_SIZE, step).mean((2, 4))
    return picture.to_bytes(), np.round(masks * 255.0).astype(np.uint8)


def load_dataset(work: Path, seed: int, count: int, processes: int = 2) -> Dataset:
    """The first `count` scenes of `seed`, drawn on first use and kept in `work`."""
    folder = work / f"pictures-{seed}-{count}"
    paths = folder / "pictures.npy", folder / "masks.npy"
    if not (folder / "complete").exists():
        folder.mkdir(parents=True, exist_ok=True)
        pictures = np.lib.format.open_memmap(paths[0], "w+", np.uint8, (count, SIZE, SIZE, 3))
        masks = np.lib.format.open_memmap(
            paths[1], "w+", np.uint8, (count, len(ELEMENTS), MASK_SIZE, MASK_SIZE)
        )
        numbered = ((seed, index) for index in range(count))
        with ExitStack() as stack:
            if processes == 1:
                jobs = map(_draw, numbered)
            else:
                pool = stack.enter_context(multiprocessing.get_context("spawn").Pool(processes))
                jobs = pool.imap(_draw, numbered, chunksize=32)
            for index, (picture, mask) in enumerate(
                tqdm(jobs, "drawing", count, unit="picture", mininterval=1.0)
            ):
                pictures[index], masks[index] = picture, mask
        pictures.flush()
        masks.flush()
        (folder / "complete").touch()
    return Dataset(seed, np.load(paths[0], mmap_mode="r"), np.load(paths[1], mmap_mode="r"))
