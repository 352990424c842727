"""The training set: numbered scenes of a seed, drawn once by all cores and stored as plain arrays.

Scene i of a set comes from `default_rng([seed, i])`.  A set therefore stores only its pictures and masks,
which are slow to draw.  The scenes are sampled again by the present code, so the folder's name has the
code's digest: pictures of another version of the world would get wrong captions.  Masks are stored in the
order of the elements of the scene's kind, padded with zeros to MASKS.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray

from velatura_lab import world
from velatura_lab.world import KINDS, Caption, caption, elements, render, sample_scene
from velatura_lab.world.render import Picture

from . import views
from .cores import by_cores
from .views import sample_view

SIZE = 128  # default side of a picture, in pixels
MASKS = 16  # most elements of a kind of scene
MASK_SIZE = 32  # side of a stored mask
VISIBLE = 0.002  # least share of the picture of a worded element
CHUNK = 50  # pictures that one core draws as one job
KIND_NAMES = tuple(KINDS)

Rows = NDArray[np.uint8] | torch.Tensor
Mapped = np.memmap[Any, np.dtype[np.uint8]]


@dataclass(frozen=True)
class Dataset:
    """`pictures` (N, S, S, 3), `masks` (N, 16, 32, 32) and `kinds` (N,), all uint8.

    Memory-mapped arrays; tensors on a device once `resident`.  `kind_of_all` is the kind of every scene of a
    set of one kind.
    """

    seed: int
    folder: Path
    pictures: Rows
    masks: Rows
    kinds: Rows
    kind_of_all: str = ""

    def __len__(self) -> int:
        return len(self.kinds)

    def resident(self, device: torch.device) -> Dataset:
        """The same set in an accelerator's memory; for the CPU the set itself, whose files are mapped."""
        if device.type == "cpu":
            return self
        arrays = {name: torch.from_numpy(np.array(getattr(self, name))).to(device) for name in _ARRAYS}
        return replace(self, **arrays)

    def scene(self, index: int) -> Any:
        """The scene of a picture."""
        return sample_scene(np.random.default_rng([self.seed, index]), self.kind_of_all or None)

    def images(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Pictures (B, 3, S, S) in 0..1."""
        return torch.as_tensor(self.pictures[indices]).permute(0, 3, 1, 2).float() / 255.0

    def shares(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Masks (B, 16, 32, 32) in 0..1."""
        return torch.as_tensor(self.masks[indices]).float() / 255.0

    def kind(self, indices: NDArray[np.int64]) -> torch.Tensor:
        """Kinds (B,) as indices into KIND_NAMES."""
        return torch.as_tensor(self.kinds[indices]).long()

    def visible(self, index: int) -> frozenset[str]:
        """The elements in view of a picture, of a share above VISIBLE."""
        names = elements(KIND_NAMES[int(self.kinds[index])])
        area = np.asarray(self.masks[index][: len(names)]).reshape(len(names), -1).mean(1) / 255.0
        return frozenset(name for name, share in zip(names, area, strict=True) if share > VISIBLE)

    def caption(self, index: int, rng: np.random.Generator, visible: frozenset[str]) -> Caption:
        """A caption of a picture with these elements in view, worded by `rng`."""
        return caption(self.scene(index), rng, visible.__contains__)


def digest(folder: Path) -> str:
    """Eight hexadecimal digits of the names and bytes of all Python files in a folder, at any depth."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*.py")):
        total.update(path.relative_to(folder).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return total.hexdigest()[:8]


@cache
def world_digest() -> str:
    """Eight hexadecimal digits of the code that draws, words and views scenes."""
    drawn = digest(Path(world.__file__).parent).encode() + Path(views.__file__).read_bytes()
    return hashlib.sha256(drawn).hexdigest()[:8]


_ARRAYS = ("pictures", "masks", "kinds")


def _shapes(count: int, size: int) -> dict[str, tuple[int, ...]]:
    return {
        "pictures": (count, size, size, 3),
        "masks": (count, MASKS, MASK_SIZE, MASK_SIZE),
        "kinds": (count,),
    }


def _open(folder: Path, mode: Literal["r", "r+"]) -> dict[str, Mapped]:
    return {name: np.load(folder / f"{name}.npy", mmap_mode=mode) for name in _ARRAYS}


def stored_masks(picture: Picture) -> NDArray[np.uint8]:
    """The masks (elements, 32, 32) of a drawn picture, as sets store them."""
    side = picture.masks.shape[-1] // MASK_SIZE
    masks = picture.masks.reshape(-1, MASK_SIZE, side, MASK_SIZE, side).mean((2, 4))
    return np.round(masks * 255.0).astype(np.uint8)


def _draw(job: tuple[Path, int, int, str]) -> int:
    """Draw one chunk of a folder's pictures into its files; return the chunk's number."""
    folder, seed, chunk, kind = job
    files = _open(folder, "r+")
    size = files["pictures"].shape[1]
    for index in range(chunk * CHUNK, min((chunk + 1) * CHUNK, len(files["kinds"]))):
        rng = np.random.default_rng([seed, index])
        scene = sample_scene(rng, kind or None)
        picture = render(scene, size, sample_view(rng, scene))
        masks = stored_masks(picture)
        files["pictures"][index] = picture.to_bytes()
        files["masks"][index, : len(masks)] = masks
        files["kinds"][index] = KIND_NAMES.index(scene.kind)
    for array in files.values():
        array.flush()
    return chunk


def load_dataset(
    work: Path, seed: int, count: int, processes: int = 2, size: int = SIZE, kind: str = ""
) -> Dataset:
    """The first `count` scenes of a seed, drawn on first use and stored in `work`.

    Drawing resumes after an interruption.  A set of another version of the world stays in `work`, unused.

    Args:
        work: Folder of all sets.
        seed: Of the scenes.
        count: Number of pictures.
        processes: Processes that draw.
        size: Side of a picture in pixels, a multiple of MASK_SIZE.
        kind: The kind of all scenes; "" for scenes of all kinds.
    """
    name = f"pictures-{kind}-{seed}" if kind else f"pictures-{seed}"
    folder = work / f"{name}-{count}-{size}-{world_digest()}"
    folder.mkdir(parents=True, exist_ok=True)
    done = folder / "drawn.npy"
    with FileLock(folder / "lock"):
        if not done.exists():
            for name, shape in _shapes(count, size).items():
                np.lib.format.open_memmap(folder / f"{name}.npy", "w+", np.uint8, shape).flush()
            np.save(done, np.zeros(-(-count // CHUNK), bool))
        drawn = np.load(done, mmap_mode="r+")
        if not drawn.all():
            _draw_missing(folder, seed, drawn, processes, kind)
    return open_dataset(folder, seed, kind)


def open_dataset(folder: Path, seed: int, kind: str = "") -> Dataset:
    """The drawn set in a folder."""
    return Dataset(seed, folder, **_open(folder, "r"), kind_of_all=kind)


def _draw_missing(
    folder: Path, seed: int, drawn: np.memmap[Any, np.dtype[np.bool_]], processes: int, kind: str
) -> None:
    jobs = [(folder, seed, int(chunk), kind) for chunk in np.flatnonzero(~drawn)]
    for chunk in by_cores(_draw, jobs, processes, f"drawing {CHUNK} at a time"):
        drawn[chunk] = True
        drawn.flush()
