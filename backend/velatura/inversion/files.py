"""Trajectories in a folder, each a safetensors file whose metadata says what the tensors are.

Files are written beside their place and renamed into it. They are not synced: what a power cut leaves of one
is found out by its digests. A file that is not whole is as good as none, and so is a full disk.
"""

from __future__ import annotations

import json
import logging
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load, save
from torch import Tensor

from velatura.diffusion.condition import Condition
from velatura_protocol.messages import canonical, digest

from .trajectory import Trajectory

log = logging.getLogger(__name__)

_FORMAT = 1
_WHOLE, _PART = ".trajectory", ".part"


def tensor_digest(x: Tensor) -> str:
    """`blake2b:` and 64 digits over a tensor's values, shape and dtype."""
    data = x.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
    return digest(canonical([str(x.dtype), list(x.shape), digest(data)]))


class TrajectoryFiles:
    """The folder, its files of `budget` bytes together. Only files with our endings are looked at or removed.

    No method raises: what fails is logged, and the trajectory is not there.
    """

    def __init__(self, folder: Path, budget: int) -> None:
        self._folder, self._budget = folder, budget
        self._now = 0
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            log.warning("trajectories are not kept: %s", error)
        for path in self._paths(_PART):  # of a process that was killed
            _remove(path)
        self._make_room(0)

    def read(self, key: str) -> Trajectory | None:
        """The trajectory, on the CPU. A file that is damaged, or of another key, is removed."""
        path = self._path(key)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        try:
            trajectory = _unpacked(key, data)
        except Exception as error:  # there are as many as there are ways to damage a file
            log.warning("removing %s: %s", path.name, error)
            _remove(path)
            return None
        self.touch(key)
        return trajectory

    def write(self, key: str, trajectory: Trajectory) -> None:
        """Makes room and writes the file, or does nothing if it is larger than the budget."""
        path = self._path(key)
        data = _packed(key, trajectory)
        if len(data) > self._budget:
            return
        part = path.with_suffix(_PART)
        try:
            self._make_room(len(data), but=path)
            part.write_bytes(data)
            os.replace(part, path)
        except OSError as error:
            log.warning("a trajectory is not kept: %s", error)
            _remove(part)
        self.touch(key)

    def touch(self, key: str) -> None:
        """It is the most recently used. (By a clock finer than the file system's own.)"""
        self._now = max(time.time_ns(), self._now + 1)
        with suppress(OSError):
            os.utime(self._path(key), ns=(self._now, self._now))

    def clear(self) -> None:
        for path in self._paths(_WHOLE):
            _remove(path)

    def _make_room(self, needed: int, but: Path | None = None) -> None:
        """Removes the least recently used until so many bytes fit. but: a file that is to be replaced."""
        found = []
        for path in self._paths(_WHOLE):
            with suppress(OSError):
                status = path.stat()
                found.append((status.st_mtime_ns, status.st_size, path))
        used = needed + sum(size for _, size, path in found if path != but)
        for _, size, path in sorted(found):
            if used <= self._budget:
                break
            if path != but:
                _remove(path)
                used -= size

    def _paths(self, ending: str) -> list[Path]:
        try:
            return [path for path in self._folder.iterdir() if path.suffix == ending]
        except OSError:
            return []

    def _path(self, key: str) -> Path:
        return self._folder / (digest(key.encode()).removeprefix("blake2b:") + _WHOLE)


def _packed(key: str, trajectory: Trajectory) -> bytes:
    """Each tensor once, however often it stands in the trajectory, under its digest."""
    tensors: dict[str, Tensor] = {}

    def name(x: Tensor) -> str:
        named = tensor_digest(x)
        tensors.setdefault(named, x.detach().cpu().clone(memory_format=torch.contiguous_format))
        return named

    def names(xs: list[Tensor | None] | None) -> list[str | None] | None:
        return None if xs is None else [None if x is None else name(x) for x in xs]

    def parts(c: Condition) -> str | dict[str, Any]:
        if c.valid is None and not c.parts:
            return name(c.states)
        valid = None if c.valid is None else name(c.valid)
        more = {part: name(x) for part, x in c.parts.items()}
        return {"states": name(c.states), "valid": valid, "parts": more}

    uncond = trajectory.uncond
    text = canonical(
        {
            "format": _FORMAT,
            "key": key,
            "sigmas": trajectory.sigmas,
            "eta": trajectory.eta,
            "x": names(trajectory.x),
            "residuals": names(trajectory.residuals),
            "uncond": None if uncond is None else [parts(c) for c in uncond],
        }
    )
    return save(tensors, {"trajectory": text.decode(), "digest": digest(text)})


def _unpacked(key: str, data: bytes) -> Trajectory:
    """Raises all kinds of errors if the bytes are not what `_packed` made."""
    end = 8 + int.from_bytes(data[:8], "little")
    metadata = json.loads(data[8:end])["__metadata__"]
    text = metadata["trajectory"]
    if digest(text.encode()) != metadata["digest"]:
        raise ValueError("the metadata is damaged")
    said = json.loads(text)
    if (said["format"], said["key"]) != (_FORMAT, key):
        raise ValueError("it is of another format or key")
    tensors = load(data)
    for name, x in tensors.items():
        if tensor_digest(x) != name:
            raise ValueError("a tensor is damaged")

    def taken(names: list[str | None] | None) -> list[Tensor | None] | None:
        return None if names is None else [None if name is None else tensors[name] for name in names]

    def condition(named: str | dict[str, Any]) -> Condition:
        if isinstance(named, str):
            return Condition(tensors[named])
        valid = None if named["valid"] is None else tensors[named["valid"]]
        more = {part: tensors[name] for part, name in named["parts"].items()}
        return Condition(tensors[named["states"]], valid, more)

    uncond = None if said["uncond"] is None else [condition(named) for named in said["uncond"]]
    return Trajectory(said["sigmas"], taken(said["x"]), taken(said["residuals"]), said["eta"], uncond)


def _remove(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
