"""The models in memory: one at a time, and of its companions those that were asked for."""

from __future__ import annotations

import ctypes
import gc
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

import torch

from velatura.companions.table import COMPANIONS
from velatura.diffusion.network import LatentDiffusion
from velatura.generators import kinds
from velatura.generators.protocol import DIFFUSION, Generator
from velatura.weights.digests import Digests
from velatura_protocol.errors import VelaturaError

from .catalogue import ModelEntry, entry_of
from .loading import load


class ModelStore:
    """Loads models when they are asked for and keeps the last one.

    entries: the models there are, or a function that gives them (asked at every `get`, so that models can be
    added while a worker lives). device: 'cpu', 'cuda:0' …. dtype: of networks; by default float32 on a CPU
    and float16 elsewhere. memory: a file to remember digests of weights in, or None.
    """

    def __init__(
        self,
        entries: Sequence[ModelEntry] | Callable[[], Sequence[ModelEntry]],
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        memory: Path | None = None,
    ) -> None:
        self._entries = entries if callable(entries) else lambda: entries
        self.device = torch.device(device)
        self.dtype = dtype or (torch.float32 if self.device.type == "cpu" else torch.float16)
        self._digests = Digests(memory)
        self._loaded: tuple[ModelEntry, Generator] | None = None
        self._companions: dict[str, Any] = {}  # of the loaded model

    def entry(self, id: str = "") -> ModelEntry:
        """What is known of a model, loaded or not; an empty id means the first. Raises `unknown-model`."""
        return entry_of(self._entries(), id)

    def get(self, id: str = "") -> Generator:
        """The model, loaded, of whatever kind; an empty id means the first. Raises `unknown-model`."""
        entry = self.entry(id)
        if self._loaded is None or self._loaded[0] != entry:
            self.unload()
            self._loaded = entry, load(entry, self.device, self.dtype, self._digests)
        return self._loaded[1]

    def diffusion(self, id: str = "") -> LatentDiffusion:
        """The diffusion model, loaded. Raises `unknown-model`, also for a model of another kind."""
        entry = self.entry(id)
        if entry.generator == DIFFUSION:
            return cast(LatentDiffusion, self.get(id))
        raise VelaturaError(
            "unknown-model",
            f"The model {entry.title!r} is {kinds.title(entry.generator)}; choose a diffusion model.",
        )

    def companion(self, name: str) -> Any:
        """The companion of this name (`velatura.companions.table`) that belongs to the model in memory.

        It is loaded when it is first asked for, and kept as long as that model. None where the model has
        none. Raises `unknown-model` for one that cannot be read.
        """
        if self._loaded is None or not (path := self._loaded[0].companions.get(name)):
            return None
        if name not in self._companions:
            self._companions[name] = COMPANIONS[name].open(path, self.device, self.dtype)
        return self._companions[name]

    def loaded(self) -> str:
        """The id of the model in memory, or ''."""
        return self._loaded[0].id if self._loaded else ""

    def unload(self) -> None:
        """Gives the model's memory back to the device and to the system."""
        if self._loaded is None:
            return
        self._loaded = None
        self._companions.clear()
        gc.collect()
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
        if sys.platform == "linux":
            _malloc_trim()


def _malloc_trim() -> None:
    """glibc keeps freed memory for itself until it is told."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
