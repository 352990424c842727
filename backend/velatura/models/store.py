"""The models in memory: one at a time, with the companions that were requested."""

from __future__ import annotations

from collections import abc
from collections.abc import Callable, Collection, Sequence
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

from . import choosing, placing
from .adapters.listing import AdapterFile, Worn
from .catalogue import ModelEntry, entry_of
from .control.listing import Listed
from .loading import digest_of, load
from .recognition import FAMILIES

if TYPE_CHECKING:
    from velatura.companions.blip import Captioner
    from velatura.companions.clip import Encoder
    from velatura.companions.enlarger import Enlarger
    from velatura.companions.identity import Identity
    from velatura.companions.landmarks import Landmarks
    from velatura.companions.segmenter import Segmenter

    from .adapters.reading import Loaded
    from .adapters.words import Vectors
    from .control.using import Led, Use
    from .latent import LatentModel


class ModelStore:
    """Loads models on request and keeps the last one.

    Args:
        entries: the available models, or a function that returns them. It is called at every `get`, so that
            models can be added while a worker runs.
        device: 'cpu', 'cuda:0' and so on.
        dtype: of all networks; by default each entry's own, else the device's (`velatura.weights.dtypes`).
        memory: the file that caches digests of weights, or None.
        placement: the rung by which weights are placed (`velatura.models.placing`).
        attention: the kernels of attention (`velatura.models.backends`).
        adapters: returns the adapters on this computer.
        guides: returns the guides on this computer.
    """

    def __init__(
        self,
        entries: Sequence[ModelEntry] | Callable[[], Sequence[ModelEntry]],
        device: str | torch.device = "cpu",
        dtype: torch.dtype | None = None,
        memory: Path | None = None,
        placement: str = placing.AUTO,
        attention: str = "native",
        adapters: Callable[[], Sequence[AdapterFile]] = tuple,
        guides: Callable[[], Listed] = lambda: Listed([]),
    ) -> None:
        self.adapters, self.guides = adapters, guides
        self._placement, self._attention = placement, attention
        self._entries = entries if callable(entries) else lambda: entries
        self.device = torch.device(device)
        self.dtype = dtype
        self._digests = Digests(memory)
        self._loaded: tuple[ModelEntry, Generator] | None = None
        self.shortage = ""  # a sentence where the machine's memory is short for the model in memory
        self._companions: dict[str, Any] = {}  # of the loaded model
        self._worn: dict[
            str, Loaded | Vectors
        ] = {}  # of the last edit, by adapters' ids, for the loaded model
        self._guides: dict[str, Any] = {}  # guides of the last edit, by their ids, for the loaded model

    def entry(self, id: str = "", suits: Callable[[ModelEntry], bool] = lambda _: True) -> ModelEntry:
        """The entry of a model; an empty id means the first that suits. Raises `unknown-model`."""
        return entry_of(self._entries(), id, suits)

    def dtype_of(self, entry: ModelEntry) -> torch.dtype:
        """The dtype of a model's networks and of its companions'."""
        family = FAMILIES[entry.found.family] if entry.found else None
        is_transformer = family is not None and "transformer" in family.parts
        return self.dtype or dtypes.chosen(self.device, transformer=is_transformer, wanted=entry.dtype)

    def get(self, id: str = "", digest: str = "") -> Generator:
        """The loaded model, of any kind. Where memory is too little for it, its GGUF file is loaded in its
        place (`choosing`).

        Args:
            id: empty: the first.
            digest: of the files that an earlier edit used, which are then loaded again, whether they are the
                model's or the GGUF file's; '': the store chooses, as for files that are not here.

        Raises:
            VelaturaError: `unknown-model`; `out-of-memory` where the machine holds none of them.
        """
        entry = self.entry(id)
        is_there = self._loaded is not None and self._loaded[0] == entry
        if self._loaded is not None and is_there and digest in ("", self._loaded[1].digest):
            return self._loaded[1]
        choices = choosing.choices(entry, self._entries(), self._placement)
        same = (one for one in choices if digest and digest_of(one.entry, self._digests) == digest)
        wanted = next(same, None) if len(choices) > 1 else None
        if self._loaded is not None and is_there and wanted is None:
            return self._loaded[1]
        self.unload()
        from . import backends  # only now, since it imports diffusers

        backends.check(self._attention)
        choice = wanted or choosing.chosen(choices, self.device, self.dtype_of, self._placement)
        self.shortage = choosing.remark(choice.entry, self.dtype_of(choice.entry))
        with placing.wanted(self._placement):
            model = load(choice.entry, self.device, self.dtype_of(choice.entry), self._digests)
        if model.kind == DIFFUSION and entry.found is not None:
            denoising = cast("LatentModel", model).denoising
            backends.use(denoising, self._attention)
            placing.mark(denoising, choice.rung or placing.rung_of(denoising))
        self._loaded = entry, model
        return model

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
        from .adapters import reading, words  # only now, since it imports the networks of all families
        from .latent import LatentModel

        if not isinstance(model, LatentModel):
            raise VelaturaError("unknown-model", f"The model {model.id!r} takes no adapters; leave them out.")
        self._worn = {
            file.id: self._worn.get(file.id)
            or (
                words.read(file.path, file.title, model.networks)
                if file.word
                else reading.read(file.path, file.title, model.networks, model.denoiser)
            )
            for file, _ in wanted
        }
        changes: list[tuple[Loaded, float]] = []
        spoken: dict[str, Vectors] = {}
        worn: list[Worn] = []
        for file, strength in wanted:
            read = self._worn[file.id]
            unread = 0
            if isinstance(read, words.Vectors):
                spoken[read.word] = read.strengthened(strength)  # the last one of a word
            else:
                changes.append((read, strength))
                unread = read.unread
            worn.append(Worn(file.title, self._digests.of([file.path]), strength, unread, file.word))
        name = " ".join(f"{one.digest} at {one.strength!r}" for one in worn)
        adapter = reading.adapter(changes, model.networks, model.device)
        with model.wearing(adapter, name, [*spoken.values()]) as changed:
            yield changed, worn

    def guided(
        self, model: Generator, uses: Sequence[Use], unseeing: Collection[str] = ("",)
    ) -> tuple[Generator, list[Led]]:
        """The model in memory as guides lead it, which shares its weights; see `control.using.led`.

        model: it, or a copy of it that shares its weights.
        """
        from .control.using import led
        from .latent import LatentModel

        if not isinstance(model, LatentModel):
            raise VelaturaError("unknown-model", f"The model {model.id!r} takes no guides; leave them out.")
        return led(model, uses, self._guides, self._digests, unseeing)

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
        self._guides.clear()
        give_back(self.device)
