"""Arrays on the disk that several processes draw chunk by chunk, and that can be read meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

Mapped = np.memmap[Any, np.dtype[Any]]
Shapes = Mapping[str, tuple[tuple[int, ...], type]]


def open_arrays(folder: Path, shapes: Shapes, count: int, chunk: int) -> dict[str, Mapped]:
    """The arrays of a set by name, made of zeros if they are not there; `drawn` (count / chunk,) among them.

    Args:
        folder: of this set alone.
        shapes: the whole shape and the type of each array.
        count: number of items, a multiple of `chunk`.
        chunk: number of items that one process draws as one job.

    Raises ValueError for another number.
    """
    if count % chunk:
        raise ValueError(f"the number of pictures must be a multiple of {chunk}, not {count}")
    folder.mkdir(parents=True, exist_ok=True)
    every = {**shapes, "drawn": ((count // chunk,), np.bool_)}  # last: while it is missing, nothing is there
    with FileLock(folder / "lock"):
        if not (folder / "drawn.npy").exists():
            for name, (shape, dtype) in every.items():
                np.lib.format.open_memmap(folder / f"{name}.npy", "w+", dtype, shape).flush()
    return {name: np.load(folder / f"{name}.npy", mmap_mode="r+") for name in every}


def available(drawn: Mapped, chunk: int) -> NDArray[np.int64]:
    """The numbers of the items that are drawn so far. drawn (N,): of each chunk."""
    return (np.flatnonzero(drawn)[:, None] * chunk + np.arange(chunk)).ravel()
