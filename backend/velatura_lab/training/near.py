"""Pairs of near pictures: a scene, and the same scene with one attribute changed.

A small CLIP that is trained on scenes alone reads their kind and their large things, and overlooks small ones
(glasses, a smile), which hardly ever decide between two scenes. In a pair nothing else decides. Pair i of a
set comes from `default_rng([seed, i])` and is drawn once; both pictures have one view. One pair in DECODED is
stored as the embedded autoencoder reconstructs it, since CLIP is asked about a model's pictures.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from velatura_lab.world import elements, render, sample_scene

from .cores import by_cores
from .data import MASK_SIZE, MASKS, SIZE, VISIBLE, stored_masks, world_digest
from .drawn import Mapped, Shapes, available, open_arrays
from .embedded_vae import decoded, encoded, load_vae
from .negatives import changed
from .networks import channels_last
from .views import sample_view

CHUNK = 25  # pairs that one core draws as one job
DECODED = 3


@dataclass(frozen=True)
class Pairs:
    """`pictures` (N, 2, S, S, 3) and `masks` (N, 2, 16, 32, 32), uint8: scene, changed scene. `drawn`
    (N / CHUNK,) tells which chunks are there."""

    seed: int
    pictures: Mapped
    masks: Mapped
    drawn: Mapped

    def available(self) -> NDArray[np.int64]:
        """The numbers of the pairs that are drawn so far."""
        return available(self.drawn, CHUNK)

    def scenes(self, index: int) -> tuple[Any, Any]:
        """The two scenes of a pair."""
        scene = sample_scene(np.random.default_rng([self.seed, index]))
        return scene, _changed(self.seed, index, scene, self.visible(index, 0, scene.kind))

    def kind(self, index: int) -> str:
        """The kind of a pair's scenes."""
        return sample_scene(np.random.default_rng([self.seed, index])).kind

    def visible(self, index: int, which: int, kind: str) -> frozenset[str]:
        """The elements in view of a picture, of a share above VISIBLE. kind: the kind of its scene."""
        names = elements(kind)
        area = np.asarray(self.masks[index, which][: len(names)]).reshape(len(names), -1).mean(1) / 255.0
        return frozenset(name for name, share in zip(names, area, strict=True) if share > VISIBLE)

    def images(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Pictures (2 B, 3, S, S) in 0..1: those of the first pair, then those of the next."""
        rows = torch.from_numpy(np.ascontiguousarray(self.pictures[indices])).flatten(0, 1)
        return rows.permute(0, 3, 1, 2).float() / 255.0

    def shares(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Masks (2 B, 16, 32, 32) in 0..1."""
        return torch.from_numpy(np.ascontiguousarray(self.masks[indices])).flatten(0, 1).float() / 255.0


def _changed(seed: int, index: int, scene: Any, seen: frozenset[str]) -> Any:
    """The second scene of a pair. seen: the elements in view of the first."""
    return changed(scene, seen, np.random.default_rng([seed, index, 1]))[1]


def _shapes(count: int) -> Shapes:
    return {
        "pictures": ((count, 2, SIZE, SIZE, 3), np.uint8),
        "masks": ((count, 2, MASKS, MASK_SIZE, MASK_SIZE), np.uint8),
    }


def open_pairs(work: Path, seed: int, count: int) -> Pairs:
    """The set of a seed, with a place for each of `count` pairs; `draw` draws them.

    Args:
        work: folder of all sets.
        seed: of the scenes.
        count: a multiple of CHUNK.
    """
    folder = work / f"pairs-{seed}-{count}-{SIZE}-{world_digest()}"
    return Pairs(seed, **open_arrays(folder, _shapes(count), count, CHUNK))


def _draw(job: tuple[Path, int, int, int]) -> int:
    """Draw one chunk; return its number."""
    work, seed, count, chunk = job
    torch.set_num_threads(1)
    pairs = open_pairs(work, seed, count)
    for index in range(chunk * CHUNK, (chunk + 1) * CHUNK):
        rng = np.random.default_rng([seed, index])
        scene = sample_scene(rng)
        view = sample_view(rng, scene)
        for which in (0, 1):
            picture = render(scene, SIZE, view)
            masks = stored_masks(picture)
            pairs.pictures[index, which] = picture.to_bytes()
            pairs.masks[index, which, : len(masks)] = masks
            if not which:
                scene = _changed(seed, index, scene, pairs.visible(index, 0, scene.kind))
    return chunk


def draw(work: Path, seed: int, count: int, processes: int = 1) -> Pairs:
    """Draw what is missing of a set; it can be interrupted and go on, and be read meanwhile."""
    pairs = open_pairs(work, seed, count)
    vae = channels_last(load_vae(), torch.device("cpu"))
    jobs = [(work, seed, count, int(chunk)) for chunk in np.flatnonzero(~pairs.drawn)]
    for chunk in by_cores(_draw, jobs, processes, f"drawing {CHUNK} pairs at a time"):
        rows = np.arange(chunk * CHUNK, (chunk + 1) * CHUNK)
        rows = rows[rows % DECODED == 0]
        pictures = pairs.pictures[rows].reshape(-1, SIZE, SIZE, 3)
        pairs.pictures[rows] = decoded(vae, encoded(vae, pictures)).reshape(-1, 2, SIZE, SIZE, 3)
        pairs.drawn[chunk] = True
        pairs.drawn.flush()
    return pairs
