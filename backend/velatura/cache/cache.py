"""The store of what costs much to make and is made once a layer: inversions, fitted embeddings, weights."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import torch

from .files import Files
from .values import nbytes

_Value = TypeVar("_Value")

LEAST = 1024
"""Bytes that a value counts at least: a dict or a list takes some too, though no tensor is in it."""


class Cache:
    """Values by key, in memory and, where a value is worth it, in a folder that outlives the process.

    In each of the two the least recently used is evicted where a budget would be exceeded. For one thread.
    Tensors stay on the device they came from. No fault of a disk is raised: what cannot be kept is not kept.

    Args:
        folder: where values outlive the process; None: nowhere.
        memory, disk: the budgets in bytes, of the tensors in memory and of the files.
    """

    def __init__(self, folder: Path | None = None, *, memory: int = 0, disk: int = 0) -> None:
        self._budget = memory
        self._values: OrderedDict[str, Any] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._files = None if folder is None else Files(folder, disk)

    @property
    def largest(self) -> int:
        """Bytes of the largest value that is kept in memory: less than the budget, so that the value which it
        belongs to stays beside it, as a layer's trajectory beside the features along it."""
        return self._budget * 4 // 5

    def kept(
        self,
        key: str,
        make: Callable[[list[Any]], _Value],
        *,
        on_disk: bool = False,
        device: torch.device | str = "cpu",
    ) -> _Value:
        """The value of this key, made only where it is not kept: itself, not a copy, and never None.

        A making that raises, since the person has cancelled it, goes on where it was when it is next asked
        for: `begun` is kept until the value is there.

        Args:
            key: of `keys.key`: it names all that the value depends on.
            make: makes the value from `begun`, a list to which it adds whatever it has finished, and which
                holds that again when it goes on; at first it is empty.
            on_disk: whether reading the value from a disk pays: it takes longer to make than to read. It may
                hold only what `velatura.cache.values` can write.
            device: where to bring the tensors of a value that was found only in the folder.
        """
        value = self._known(key, on_disk, device)
        if value is None:
            value = self._made(key, make, on_disk, device)
            self.keep(key, value, on_disk=on_disk)
        return value

    def keep(self, key: str, value: Any, *, on_disk: bool = False) -> None:
        """Keeps a value as it is now. One that has grown since is to be kept again."""
        size = max(nbytes(value), LEAST)
        if size <= self.largest:  # else it is not kept, and does not push the others out
            self._values[key] = value
            self._values.move_to_end(key)
            self.make_room(key, size)
        else:
            self._drop(key)
        if on_disk and self._files is not None:
            self._files.write(key, value)

    def make_room(self, key: str, needed: int) -> None:
        """The value of this key is about to be so many bytes: evicts others, so that the budget holds while
        it grows. needed: at most `largest`."""
        if key in self._values:
            self._sizes[key] = needed
        used = needed + sum(size for other, size in self._sizes.items() if other != key)
        for other in [other for other in self._values if other != key]:
            if used <= self._budget:
                break
            used -= self._sizes[other]
            self._drop(other)

    @property
    def nbytes(self) -> int:
        """Bytes of the tensors that are held in memory."""
        return nbytes(self._values)

    def release(self) -> None:
        """Gives back all memory; what is in the folder stays."""
        self._values.clear()
        self._sizes.clear()

    def clear(self) -> None:
        """Forgets everything, in the folder too."""
        self.release()
        if self._files is not None:
            self._files.clear()

    def _known(self, key: str, on_disk: bool, device: torch.device | str) -> Any:
        """The value, from memory or else from the folder; None if there is none."""
        files = self._files if on_disk else None
        if key in self._values:
            self._values.move_to_end(key)
            if files is not None:
                files.touch(key)
            return self._values[key]
        value = None if files is None else files.read(key, device)
        if value is not None:
            self.keep(key, value)
        return value

    def _made(
        self, key: str, make: Callable[[list[Any]], Any], on_disk: bool, device: torch.device | str
    ) -> Any:
        so_far = f"{key} begun"
        begun = self._known(so_far, on_disk, device) or []
        try:
            value = make(begun)
        except Exception:
            if begun:
                self.keep(so_far, begun, on_disk=on_disk)
            raise
        self._drop(so_far)
        if on_disk and self._files is not None:
            self._files.remove(so_far)
        return value

    def _drop(self, key: str) -> None:
        self._values.pop(key, None)
        self._sizes.pop(key, None)
