"""One method on one region of a layer, with progress and previews."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

import numpy as np
import torch
from torch import Tensor

from velatura.cache.cache import Cache
from velatura.canvas.geometry import Box, Region
from velatura.canvas.region import Seen, without_margins
from velatura.canvas.selection import Layer
from velatura.diffusion.network import LatentDiffusion
from velatura.generators.protocol import Generator
from velatura.models.catalogue import ModelEntry
from velatura.models.store import ModelStore
from velatura.shelf.listing import SHIPPED
from velatura.shelf.shelf import Shelf
from velatura.weights.memory import give_back
from velatura.weights.out_of_memory import is_out_of_memory
from velatura.weights.precision import check_finite

from . import guiding
from .base import WHOLE, Cancelled, Method, MethodInputs, Parameters, Stage
from .checks import without
from .kinds import KINDS
from .progress import Progress
from .room import makes_one_by_one, most_at_once

if TYPE_CHECKING:
    from velatura.companions.blip import Captioner
    from velatura.companions.clip import Encoder
    from velatura.companions.enlarger import Enlarger
    from velatura.companions.identity import Identity
    from velatura.companions.landmarks import Landmarks
    from velatura.companions.segmenter import Segmenter

_Value = TypeVar("_Value")

_PREVIEW_SHARE = 0.2  # of the time at most goes into previews
_SMALLER = "Memory was short: the variations were made in smaller batches."
_NO_HASTE = "This model, or a guide that leads it, computes every step in full, so haste changes nothing."
_RANKING_SHARE = 0.1  # approximate share of the time with several variations


class Hooks(Protocol):
    """The worker's side of a run. Called on the thread of `execute`."""

    def progress(self, stage: str, step: int, steps: int, fraction: float) -> None:
        """Reports progress.

        Args:
            stage: for the person.
            step: of the stage, from 0.
            steps: of the stage.
            fraction: of the whole run, in [0, 1]; it never falls.
        """

    def preview(self, step: int, rgb: np.ndarray, rect: tuple[int, int, int, int]) -> None:
        """Shows the expected result.

        Args:
            step: of the run.
            rgb: uint8 [h, w, 3], the edited part of the layer.
            rect: that part, x, y, width and height in pixels of the document.
        """

    def cancelled(self) -> bool:
        """Whether to stop."""
        ...


class Run:
    """One method on one region; the `Context` of its steps.

    Args:
        method: to run.
        params: of its class.
        prompt: checked.
        layer: the whole source.
        region: the part of the layer that the model sees.
        seen: that part, as the model sees it.
        models: give the model's companions.
        entry: of the model.
        model: loaded.
        cache: keeps values from one edit to the next.
        hooks: the worker's.
        is_draft: whether the run only shows a preview.
        shelf: the folder of the kept dials; None: nothing can be kept.
        rasters: further ones by name, [h, w, C], as `velatura.canvas.rasters` reads them.
    """

    def __init__(
        self,
        method: Method,
        params: Parameters,
        prompt: str,
        layer: Layer,
        region: Region,
        seen: Seen,
        models: ModelStore,
        entry: ModelEntry,
        model: Generator,
        cache: Cache,
        hooks: Hooks,
        *,
        is_draft: bool,
        shelf: Path | None = None,
        rasters: Mapping[str, np.ndarray] | None = None,
    ) -> None:
        model, self.params = guiding.settled(model, params)
        self.method, self.hooks = method, hooks
        self.cache = cache
        self._models, self._entry = models, entry
        self.shelf = Shelf(shelf, [Path(entry.path, SHIPPED)])
        self.prompt, self.region = prompt, region
        crop = region.crop.moved(*layer.origin)
        self._rect = (crop.x0, crop.y0, crop.width, crop.height)
        self._image = _tensor(seen.image, model.device) * 2.0 - 1.0
        self._mask = _tensor(seen.mask[..., None], model.device)
        self._rasters = {name: _as_tensor(raster, model.device) for name, raster in (rasters or {}).items()}
        self.generator = model.prepared(self._image, self._mask)
        self._progress = Progress()
        self.edits = 1.0  # share of editing in the whole run; the rest is ranking
        self._at, self._whole = 0.0, 1.0  # place and share of the present batch in the whole run
        self._preview_after = 0.0
        self._reconstruction: Tensor | None = None
        self.is_draft = is_draft
        self.remarks: set[str] = set()  # sentences for the person: the method's, and how memory was saved
        self._stage = KINDS[method.result].stage
        self._step = 0

    @property
    def model(self) -> LatentDiffusion:
        """See `Context`."""
        return cast(LatentDiffusion, self.generator)  # the method was refused if it is another kind

    @property
    def captioner(self) -> Captioner:
        """See `Context`."""
        return self._companion(self._models.captioner(), "captioner")

    @property
    def segmenter(self) -> Segmenter:
        """See `Context`."""
        return self._companion(self._models.segmenter(), "segmenter")

    @property
    def clip(self) -> Encoder:
        """See `Context`."""
        return self._companion(self._models.clip(), "clip")

    @property
    def own_clip(self) -> Encoder | None:
        """The CLIP that compares pictures with words; None if the model has none."""
        return self._models.clip()

    @property
    def identity(self) -> Identity | None:
        """See `Context`."""
        return self._models.identity()

    @property
    def landmarks(self) -> Landmarks | None:
        """See `Context`."""
        return self._models.landmarks()

    @property
    def enlarger(self) -> Enlarger | None:
        """The network that enlarges pictures; None if the model has none."""
        return self._models.enlarger()

    def _companion(self, found: _Value | None, name: str) -> _Value:
        """The companion. Raises `unknown-model` if there is none: a method may forget to say its `needs`."""
        if found is None:
            raise without(name, self.method, self._entry)
        return found

    def variations(self, seeds: list[int], share: float = 1.0) -> Iterator[list[np.ndarray]]:
        """The pictures [h, w, 3 or 4] in [0, 1], one a seed, in batches; see `Method.run`.

        share: of the method in the whole editing; detail takes the rest.

        The first batch is one picture, so that a person soon sees something. Other pictures follow in one
        batch if memory allows, or one by one where `room.makes_one_by_one` says so, and where a picture made
        in haste would depend on the others of its batch. If memory runs out, the cache is emptied too, and
        then even a single picture is tried again.
        """
        done, several = 0, len(seeds) > 1
        self.edits = 1.0 - _RANKING_SHARE if several else 1.0
        height, width = self._image.shape[-2], self._image.shape[-1]
        alone = makes_one_by_one(self.generator) or self._haste
        wanted = 1 if alone else len(seeds)
        most = most_at_once(self.generator, height, width, wanted, self.cache.nbytes)
        if most < wanted - (wanted > 1):
            self.remarks.add(_SMALLER)
        while done < len(seeds):
            size = 1 if alone or not done else most
            batch = seeds[done : done + size]
            self._at, self._whole = done / len(seeds), len(batch) / len(seeds)
            self._progress.part(self._at, self._whole * share * self.edits)
            held = self.cache.nbytes  # before this batch adds to the cache
            try:
                pictures = self._batch(batch)
            except (MemoryError, OSError, RuntimeError) as error:
                if not is_out_of_memory(error) or (len(batch) == 1 and not held):
                    raise
            else:
                done += len(batch)
                yield pictures
                continue
            self.cache.release()
            if len(batch) > 1:
                self.remarks.add(_SMALLER)
            most = max(1, len(batch) // 2)  # outside the handler, where the failed batch's tensors are freed
            give_back(self.generator.device)

    @torch.inference_mode()
    def _batch(self, seeds: list[int]) -> list[np.ndarray]:
        pictures = self._ran(seeds)
        if not isinstance(pictures, Tensor):
            raise TypeError(f"{self.method.id}.run has to return a tensor where the result is 'layer'")
        check_finite(pictures)  # for arithmetic outside of networks, and for networks of other packages
        return list(as_arrays(pictures))

    @property
    def _haste(self) -> float:
        """The parameter `haste` of methods whose passes may be skipped (`fields.haste`), else 0."""
        return getattr(self.params, "haste", 0.0)

    def _ran(self, seeds: list[int]) -> Any:
        """The method's output for a batch."""
        self.check()
        inputs = self._inputs(seeds)
        if not self._haste:
            return self.method.run(inputs, self.params, self)
        if not self.model.can_skip:
            self.remarks.add(_NO_HASTE)
        with self.model.skipping(self._haste):
            return self.method.run(inputs, self.params, self)

    def _inputs(self, seeds: list[int]) -> MethodInputs:
        return MethodInputs(self._image, self._mask, self.prompt, seeds, self._rasters)

    @torch.inference_mode()
    def once(self, seed: int) -> Any:
        """The method's output for one seed."""
        output = self._ran([seed])
        check_finite(output)
        return output

    @property
    def reconstruction(self) -> Tensor:
        """See `Context`. Made at its first use."""
        if self._reconstruction is None:
            with torch.inference_mode():
                self._reconstruction = self.decode(self.generator.encode(self._image))
        return self._reconstruction

    def kept(self, key: str, make: Callable[[list[Any]], _Value], *, on_disk: bool = False) -> _Value:
        """See `Context`."""
        return self.cache.kept(key, make, on_disk=on_disk, device=self.generator.device)

    def step(
        self, i: int, n: int, preview: Callable[[], Tensor] | None = None, *, stage: Stage = WHOLE
    ) -> None:
        """See `Context`."""
        self.check()
        self._step = i
        self.hooks.progress(stage.name or self._stage, i, n, self._progress.step(i, n, stage))
        now = time.monotonic()
        if self.is_draft and i == n:
            return  # the finished picture is shown in a moment
        if preview is not None and now >= self._preview_after:
            self.hooks.preview(i, self._composite(preview()), self._rect)
            spent = time.monotonic() - now
            self._preview_after = now + max(spent / _PREVIEW_SHARE, 0.1)
            self.check()

    def remark(self, sentence: str) -> None:
        """See `Context`."""
        self.remarks.add(sentence)

    def finer(self, i: int, n: int, share: float) -> None:
        """Begins the detail of picture i of n of the batch (from 0). share: as in `variations`."""
        rest = (1.0 - share) * self.edits * self._whole
        self._progress.part(self._at + self._whole * share * self.edits + rest * i / n, rest / n)

    def finish(self) -> None:
        """Reports that the batch is edited and becomes layers."""
        self.hooks.progress("Finishing", 0, 0, self._at + self._whole * self.edits)

    def show_part(self, picture: Tensor, box: Box, origin: tuple[int, int]) -> None:
        """Shows a finished part [1, 3, h, w] in [-1, 1] of the layer. box: in the layer. origin: of the
        layer."""
        x0, y0, _, _ = place = box.moved(*origin)
        rgb = ((picture[0].clamp(-1.0, 1.0) + 1.0) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()
        self.hooks.preview(self._step, rgb, (x0, y0, place.width, place.height))

    def decode(self, z: Tensor) -> Tensor:
        """See `Context`."""
        pictures: list[Tensor] = []
        for one in z.split(1):
            self.check()
            pictures.append(self.generator.decode(one))
        return torch.cat(pictures)

    def rank(self, i: int, n: int) -> None:
        """Reports that i of n looks at the batch are done. Raises `Cancelled`."""
        self.check()
        ranked = self.edits + (1.0 - self.edits) * i / n
        self.hooks.progress("Ranking", i, n, self._at + self._whole * ranked)

    def check(self) -> None:
        """Raises `Cancelled` if the job was cancelled."""
        if self.hooks.cancelled():
            raise Cancelled

    def show(self, picture: np.ndarray) -> None:
        """Shows a finished picture [h, w, 3 or 4] in [0, 1] as a preview."""
        self.hooks.preview(self._step, self.shown(picture), self._rect)

    def show_mask(self, map: np.ndarray) -> None:
        """Shows a finished map [h, w] in [0, 1] as a preview, white on black."""
        self.hooks.preview(self._step, self.shown_mask(map), self._rect)

    def shown(self, picture: np.ndarray) -> np.ndarray:
        """A finished picture [h, w, 3 or 4] in [0, 1] over the layer, as `Hooks.preview` shows it."""
        edited = _tensor(picture, self.generator.device)
        return self._composite(torch.cat([edited[:, :3] * 2.0 - 1.0, edited[:, 3:]], dim=1))

    def shown_mask(self, map: np.ndarray) -> np.ndarray:
        """A finished map [h, w] in [0, 1], white on black, as `Hooks.preview` shows it."""
        picture = without_margins(np.repeat(map[..., None], 3, axis=2), self.region)
        return np.rint(picture * 255.0).astype(np.uint8)

    @property
    def rect(self) -> tuple[int, int, int, int]:
        """The part of the document that previews show: x, y, width and height."""
        return self._rect

    def _composite(self, picture: Tensor) -> np.ndarray:
        """Composites a picture over the layer by the mask, and removes the mirrored margins."""
        mask = self._mask if picture.shape[1] == 3 else self._mask * picture[:, 3:].clamp(0.0, 1.0)
        edited = torch.lerp(self._image, picture[:, :3].clamp(-1.0, 1.0), mask)[0]
        (top, left), (height, width) = self.region.offset, self.region.inner
        edited = edited[:, top : top + height, left : left + width]
        return ((edited + 1.0) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()


def as_arrays(pictures: Tensor) -> np.ndarray:
    """[N, 3 or 4, h, w], colours in [-1, 1] and opacity in [0, 1], to [N, h, w, 3 or 4] in [0, 1]."""
    whole = torch.cat([(pictures[:, :3] + 1.0) / 2.0, pictures[:, 3:]], dim=1)
    return whole.permute(0, 2, 3, 1).cpu().numpy()


def _tensor(picture: np.ndarray, device: torch.device) -> Tensor:
    """[h, w, C] to [1, C, h, w], float32."""
    return _as_tensor(picture, device).to(torch.float32)


def _as_tensor(picture: np.ndarray, device: torch.device) -> Tensor:
    """[h, w, C] to [1, C, h, w] of the same type."""
    return torch.from_numpy(picture).permute(2, 0, 1)[None].to(device).contiguous()
