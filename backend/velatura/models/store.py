"""The models in memory: one at a time, with the companions that were requested."""

from __future__ import annotations

from collections import abc
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import torch

from velatura.companions.table import COMPANIONS
from velatura.diffusion.network import LatentDiffusion
from velatura.generators import kinds
from velatura.generators.protocol import DIFFUSION, Generator
from velatura.weights import dtypes
from velatura.weights.digests import Digests
from velatura.weights.memory import give_back
from velatura_protocol.errors import VelaturaError

from . import placing
from .adapters.listing import AdapterFile, Worn
from .catalogue import ModelEntry, entry_of
from .loading import load
from .recognition import FAMILIES

if TYPE_CHECKING:
    from velatura.companions.blip import Captioner
    from velatura.companions.clip import Encoder
    from velatura.companions.enlarger import Enlarger
    from velatura.companions.identity import Identity
    from velatura.companions.landmarks import Landmarks
    from velatura.companions.segmenter import Segmenter

    from .adapters.reading import Loaded


class ModelStore:
    """Loads models on request and keeps the last one.

    Args:
        entries: the available models, or a function that returns them. It is called at every `get`, so that
            models can be added while a worker runs.
        device: 'cpu', 'cuda:0' and so on.
        dtype: of all networks; by default each entry's own, else the device's (`velatura.weights.dtypes`).
        memory: the file that caches digests of weights, or None.
        placement: the rung by which weights are placed (`velatura.models.placing`).
        adapters: returns the adapters on this computer.
    """

    def __init__(
        self,
        entries: Sequence[ModelEntry] | Callable[[], Sequence[ModelEntry]],
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        memory: Path | None = None,
        placement: str = placing.AUTO,
        adapters: Callable[[], Sequence[AdapterFile]] = tuple,
    ) -> None:
        self.adapters = adapters
        self._placement = placement
        self._entries = entries if callable(entries) else lambda: entries
        self.device = torch.device(device)
        self.dtype = dtype
        self._digests = Digests(memory)
        self._loaded: tuple[ModelEntry, Generator] | None = None
        self._companions: dict[str, Any] = {}  # of the loaded model
        self._worn: dict[str, Loaded] = {}  # adapters of the last edit, by their ids, for the loaded model

    def entry(self, id: str = "", suits: Callable[[ModelEntry], bool] = lambda _: True) -> ModelEntry:
        """The entry of a model; an empty id means the first that suits. Raises `unknown-model`."""
        return entry_of(self._entries(), id, suits)

    def dtype_of(self, entry: ModelEntry) -> torch.dtype:
        """The dtype of a model's networks and of its companions'."""
        family = FAMILIES[entry.found.family] if entry.found else None
        is_transformer = family is not None and "transformer" in family.parts
        return self.dtype or dtypes.chosen(self.device, transformer=is_transformer, wanted=entry.dtype)

    def get(self, id: str = "") -> Generator:
        """The loaded model, of any kind; an empty id means the first. Raises `unknown-model`."""
        entry = self.entry(id)
        if self._loaded is None or self._loaded[0] != entry:
            self.unload()
            with placing.wanted(self._placement):
                self._loaded = entry, load(entry, self.device, self.dtype_of(entry), self._digests)
        return self._loaded[1]

    @contextmanager
    def wearing(
        self, wanted: Sequence[tuple[AdapterFile, float]]
    ) -> abc.Generator[tuple[Generator, list[Worn]]]:
        """A context that gives the model in memory as adapters change it, and each adapter's digest.

        Behind the context the model is what it was.

        Args:
            wanted: adapters, and their strengths: 1 as trained, negative for the other way.

        Raises:
            VelaturaError: `unknown-model` for an adapter that cannot be read or was made for other networks.
        """
        assert self._loaded is not None
        model = self._loaded[1]
        if not wanted:
            yield model, []
            return
        from .adapters import reading  # only now, since it imports the networks of all families
        from .latent import LatentModel

        if not isinstance(model, LatentModel):
            raise VelaturaError("unknown-model", f"The model {model.id!r} takes no adapters; leave them out.")
        self._worn = {
            file.id: self._worn.get(file.id)
            or reading.read(file.path, file.title, model.networks, model.denoiser)
            for file, _ in wanted
        }
        read = [(self._worn[file.id], strength) for file, strength in wanted]
        worn = [
            Worn(file.title, self._digests.of([file.path]), strength, self._worn[file.id].unread)
            for file, strength in wanted
        ]
        name = " ".join(f"{one.digest} at {one.strength!r}" for one in worn)
        with model.wearing(reading.adapter(read, model.networks, model.device), name) as changed:
            yield changed, worn

    def diffusion(self, id: str = "") -> LatentDiffusion:
        """The loaded diffusion model. Raises `unknown-model`, also for a model of another kind."""
        entry = self.entry(id)
        if entry.generator == DIFFUSION:
            return cast(LatentDiffusion, self.get(id))
        raise VelaturaError(
            "unknown-model",
            f"The model {entry.title!r} is {kinds.title(entry.generator)}; choose a diffusion model.",
        )

    @torch.inference_mode(
        False
    )  # weights made in inference mode can take part in no gradient, even if frozen
    def companion(self, name: str) -> Any:
        """The companion of this name (`velatura.companions.table`) of the model in memory; None if it has
        none.

        It is loaded at the first request and kept as long as the model. Raises `unknown-model` if it cannot
        be read.
        """
        if self._loaded is None or not (path := self._loaded[0].companions.get(name)):
            return None
        if name not in self._companions:
            self._companions[name] = COMPANIONS[name].open(path, self.device, self.dtype_of(self._loaded[0]))
        return self._companions[name]

    def clip(self) -> Encoder | None:
        """The CLIP of the model in memory; see `companion`."""
        return self.companion("clip")

    def identity(self) -> Identity | None:
        """The identity encoder of the model in memory; see `companion`."""
        return self.companion("identity")

    def landmarks(self) -> Landmarks | None:
        """The face detector of the model in memory; see `companion`."""
        return self.companion("landmarks")

    def captioner(self) -> Captioner | None:
        """The captioner of the model in memory; see `companion`."""
        return self.companion("captioner")

    def segmenter(self) -> Segmenter | None:
        """The segmenter of the model in memory; see `companion`."""
        return self.companion("segmenter")

    def enlarger(self) -> Enlarger | None:
        """The enlarger of the model in memory; see `companion`."""
        return self.companion("enlarger")

    def loaded(self) -> str:
        """The id of the model in memory; '' if there is none."""
        return self._loaded[0].id if self._loaded else ""

    def unload(self) -> None:
        """Releases the model's memory to the device and to the system."""
        if self._loaded is None:
            return
        self._loaded = None
        self._companions.clear()
        self._worn.clear()
        give_back(self.device)
