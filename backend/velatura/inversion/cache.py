"""What is worth keeping from one edit of a picture to the next, by what it was made from.

Two shelves, each with its budget in bytes, on each of which the least recently used goes first: trajectories,
in memory and in a folder, so that they outlive the process; and features, in memory alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from velatura_protocol.messages import canonical, digest

from .files import TrajectoryFiles, tensor_digest
from .trajectory import Trajectory

MATHEMATICS = 1
"""Of every name. Whoever changes what an inversion, a step or guidance computes raises it, so that what was
kept before is made anew."""


def key(**content: Any) -> str:
    """The name of what is made from `content`: JSON values, in which tensors may stand anywhere.

    Everything that the result depends on belongs into it: the model's digest and dtype, the latents, prompts,
    levels, guidance, seeds. How it is computed is in it (`MATHEMATICS`). Raises VelaturaError `bad-request`
    for other values.
    """
    return digest(canonical({"mathematics": MATHEMATICS, "content": _named(content)}))


def _named(value: Any) -> Any:
    """The value with each tensor's digest in its place."""
    if isinstance(value, Tensor):
        return {"tensor": tensor_digest(value)}
    if isinstance(value, dict):
        return {name: _named(item) for name, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_named(item) for item in value]
    return value


_BEGUN = "begun "


class Memory:
    """A worker's memory of its edits. For one thread.

    folder: where trajectories outlive the process; None: nowhere. trajectories, features, disk: budgets in
    bytes. Tensors stay on the device they came from. Nothing here raises what an edit would have to handle:
    what cannot be kept is not kept.
    """

    def __init__(self, folder: Path | None, trajectories: int, features: int, disk: int) -> None:
        self._trajectories = _Shelf(trajectories)
        self._features = _Shelf(features)
        self.feature_budget = features  # a run need not record more
        self._files = None if folder is None else TrajectoryFiles(folder, disk)

    def trajectory(self, key: str, device: torch.device | str = "cpu") -> Trajectory | None:
        """The trajectory itself, not a copy: what is written into it stays. device: where to bring one that
        was found only in the folder."""
        known = self._trajectories.get(key)
        if self._files is None:
            return known
        if known is not None:
            self._files.touch(key)
            return known
        known = self._files.read(key)
        if known is not None:
            known = known.to(device)
            self._trajectories.put(key, known)
        return known

    def begun(self, key: str) -> list[Any]:
        """What `keep_begun` was given for the trajectory of this key; else empty."""
        return self._trajectories.get(_BEGUN + key) or []

    def keep_begun(self, key: str, made: list[Any]) -> None:
        """The making of a trajectory was stopped: keeps what there is of it, tensors or tuples of them, until
        the trajectory itself is kept. In memory alone."""
        self._trajectories.put(_BEGUN + key, made)

    def keep_trajectory(self, key: str, trajectory: Trajectory) -> None:
        """Keep it as it is now. One that was filled later is to be kept again."""
        self._trajectories.values.pop(_BEGUN + key, None)
        self._trajectories.put(key, trajectory)
        if self._files is not None:
            self._files.write(key, trajectory)

    def features(self, key: str, new: Callable[[], Any] = dict) -> Any:
        """The features of this key, to read and to record into; `settle` when the run is over, however it
        ended. new: makes empty ones, of dicts, lists, tuples and dataclasses that will hold tensors."""
        known = self._features.get(key)
        if known is None:
            known = self._features.values[key] = new()
        return known

    def make_room(self, key: str, needed: int) -> None:
        """The features of this key are about to be so many bytes together: lets go of others, so that the
        budget also holds while they are recorded."""
        self._features.make_room(key, needed)

    def settle(self, key: str) -> None:
        """The features of this key have grown: brings the shelf back within its budget. What alone is above
        it is not kept."""
        if key in self._features.values:
            self._features.put(key, self._features.values[key])

    @property
    def nbytes(self) -> int:
        """Bytes that are held in memory."""
        return nbytes([self._trajectories.values, self._features.values])

    def release(self) -> None:
        """Gives back all memory; what is in the folder stays."""
        self._trajectories.values.clear()
        self._features.values.clear()

    def clear(self) -> None:
        """Forgets everything, in the folder too."""
        self.release()
        if self._files is not None:
            self._files.clear()


class _Shelf:
    """Values by key, the least recently used first, of `budget` bytes together after every `put`."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self.values: OrderedDict[str, Any] = OrderedDict()
        self.sizes: dict[str, int] = {}  # as of the last `put` of any

    def get(self, key: str) -> Any:
        if key in self.values:
            self.values.move_to_end(key)
        return self.values.get(key)

    def put(self, key: str, value: Any) -> None:
        if not 0 < nbytes(value) <= self.budget:  # nor does it push the others out
            self.values.pop(key, None)
            return
        self.values[key] = value
        self.values.move_to_end(key)
        self.sizes = {key: nbytes(value) for key, value in self.values.items()}  # anew, since they grow
        self.make_room(key, self.sizes[key])

    def make_room(self, key: str, needed: int) -> None:
        """Lets go of others until the value of this key fits, of so many bytes, at most `budget`."""
        sizes = {other: self.sizes.get(other, 0) for other in self.values if other != key}
        used = needed + sum(sizes.values())
        for other, size in sizes.items():
            if used <= self.budget:
                break
            del self.values[other]
            used -= size


def nbytes(value: Any) -> int:
    """Bytes that the tensors within a value hold, shared ones once; a view holds all that it is a view of."""
    return sum({storage.data_ptr(): storage.nbytes() for storage in _storages(value)}.values())


def _storages(value: Any) -> Iterator[torch.UntypedStorage]:
    if isinstance(value, Tensor):
        yield value.untyped_storage()
        return
    if is_dataclass(value):
        items = [getattr(value, field.name) for field in fields(value)]
    elif isinstance(value, Mapping):
        items = value.values()
    else:
        items = value if isinstance(value, (list, tuple)) else ()
    for item in items:
        yield from _storages(item)
