"""The store of values that are expensive and made once a layer: inversions, fitted embeddings, weights."""

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
"""The smallest size in bytes that a value counts: a dict or a list without tensors takes memory too."""


class Cache:
    """Values by key, in memory and, on request, in a folder that outlives the process.

    When a budget would be exceeded, the least recently used value is evicted. Not thread-safe. Tensors stay
    on their device. Faults of the disk are not raised: the value is then not kept.

    Args:
        folder: for the values on disk; None: memory only.
        memory: the budget of the tensors in memory, in bytes.
        disk: the budget of the files, in bytes.
    """

    def __init__(self, folder: Path | None = None, *, memory: int = 0, disk: int = 0) -> None:
        self._budget = memory
        self._values: OrderedDict[str, Any] = OrderedDict()
        self._sizes: dict[str, int] = {}
        self._files = None if folder is None else Files(folder, disk)

    @property
    def largest(self) -> int:
        """The size in bytes of the largest value that is kept in memory. It is less than the budget, so that
        a related value fits beside it, as a layer's trajectory beside the features along it."""
        return self._budget * 4 // 5

    def kept(
        self,
        key: str,
        make: Callable[[list[Any]], _Value],
        *,
        on_disk: bool = False,
        device: torch.device | str = "cpu",
    ) -> _Value:
        """The value of this key, which is made only if it is not kept. Returns the value itself, not a copy.

        If `make` raises, because the person has cancelled, the next call resumes where it stopped: `begun` is
        kept until the value is made.

        Args:
            key: from `keys.key`, which names everything that the value depends on.
            make: makes the value, which must not be None. Its argument `begun` is a list, empty at first; it
                appends finished parts, and finds them there when it resumes.
            on_disk: whether to keep the value on disk too, which pays if making takes longer than reading.
                The value must be one that `velatura.cache.values` can write.
            device: for the tensors of a value that is read from the folder.
        """
        value = self._known(key, on_disk, device)
        if value is None:
            value = self._made(key, make, on_disk, device)
            self.keep(key, value, on_disk=on_disk)
        return value

    def keep(self, key: str, value: Any, *, on_disk: bool = False) -> None:
        """Keeps a value in its present state. Call it again after the value has grown."""
        size = max(nbytes(value), LEAST)
        if size <= self.largest:  # a larger value is not kept, and evicts no others
            self._values[key] = value
            self._values.move_to_end(key)
            self.make_room(key, size)
        else:
            self._drop(key)
        if on_disk and self._files is not None:
            self._files.write(key, value)

    def make_room(self, key: str, needed: int) -> None:
        """Evicts other values before the value of this key grows to `needed` bytes, so that the budget is
        never exceeded. needed: at most `largest`."""
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
        """The size in bytes of the tensors in memory."""
        return nbytes(self._values)

    def release(self) -> None:
        """Releases all memory; the files stay."""
        self._values.clear()
        self._sizes.clear()

    def clear(self) -> None:
        """Removes all values, also those in the folder."""
        self.release()
        if self._files is not None:
            self._files.clear()

    def _known(self, key: str, on_disk: bool, device: torch.device | str) -> Any:
        """The value from memory or, failing that, from the folder; None if it is not kept."""
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
