"""One method on one region of a layer; what it says while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Protocol, cast

import numpy as np
import torch
from torch import Tensor

from velatura.canvas.geometry import Region
from velatura.canvas.region import Seen, without_margins
from velatura.canvas.selection import Layer
from velatura.diffusion.network import LatentDiffusion
from velatura.generators.protocol import Generator
from velatura.inversion.cache import Memory
from velatura.models.store import ModelStore
from velatura.weights.out_of_memory import is_out_of_memory
from velatura_protocol.errors import VelaturaError
from velatura_protocol.results import MAX_LAYERS, MAX_TEXTS, one_line

from .base import Cancelled, Method, MethodInputs, Parameters

if TYPE_CHECKING:
    from velatura.companions.blip import Captioner
    from velatura.companions.clipseg import Segmenter

_PREVIEW_SHARE = 0.2  # of the time may go into previews
_RANKING_SHARE = 0.1  # of the time that several variations take, about


class Hooks(Protocol):
    """What a run tells its worker, and asks it. Called on the thread of `execute`."""

    def progress(self, stage: str, step: int, steps: int, fraction: float) -> None:
        """stage: for the person. step of steps, from 0; fraction of the whole run in [0, 1]."""

    def preview(self, step: int, rgb: np.ndarray, rect: tuple[int, int, int, int]) -> None:
        """rgb: uint8 [h, w, 3], the part of the layer that is edited as it is expected to become. rect: that
        part, x, y, width and height in pixels of the document."""

    def cancelled(self) -> bool:
        """Whether to stop."""


class Run:
    """One method on one region; the `Context` of its steps.

    layer: of which `region` is the part that is seen, as `seen`. models: for the model's companions.
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
        model: Generator,
        memory: Memory,
        hooks: Hooks,
        *,
        is_draft: bool,
    ) -> None:
        self.method, self.params, self.hooks = method, params, hooks
        self.memory = memory
        self._models = models
        self._prompt, self._region = prompt, region
        crop = region.crop.moved(*layer.origin)
        self._rect = (crop.x0, crop.y0, crop.width, crop.height)
        self._image = _tensor(seen.image, model.device) * 2.0 - 1.0
        self._mask = _tensor(seen.mask[..., None], model.device)
        self.generator = model.prepared(self._image, self._mask)
        self._share = (0.0, 1.0)  # of the whole run: where the present batch begins, and how much it is
        self.edits = 1.0  # how much of the whole run is editing; the rest is ranking
        self._preview_after = 0.0
        self.is_draft = is_draft
        self._stage = "Looking" if method.result == "text" else "Editing"
        self._step = 0

    @property
    def model(self) -> LatentDiffusion:
        """See `Context`."""
        return cast(LatentDiffusion, self.generator)  # the method was refused if it is another kind

    @property
    def captioner(self) -> Captioner:
        """See `Context`."""
        return self._models.companion("captioner")

    @property
    def segmenter(self) -> Segmenter:
        """See `Context`."""
        return self._models.companion("segmenter")

    def variations(self, seeds: list[int]) -> list[np.ndarray]:
        """A picture [h, w, 3] in [0, 1] a seed. In one batch if memory allows, else in smaller ones: what
        becomes of a seed does not depend on the batch. Where memory runs out, what is remembered of edits is
        given back too, and for its room even a single picture is tried again."""
        done: list[np.ndarray] = []
        size = len(seeds)
        self.edits = 1.0 if size == 1 else 1.0 - _RANKING_SHARE
        while len(done) < len(seeds):
            batch = seeds[len(done) : len(done) + size]
            self._share = (self.edits * len(done) / len(seeds), self.edits * len(batch) / len(seeds))
            held = self.memory.nbytes  # before this batch, which remembers more
            try:
                done += self._batch(batch)
            except (MemoryError, OSError, RuntimeError) as error:
                if not is_out_of_memory(error) or (size == 1 and not held):
                    raise
            else:
                continue
            self.memory.release()
            size = (size + 1) // 2  # out here, where the failed batch's tensors are no longer held
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return done

    @torch.inference_mode()
    def _batch(self, seeds: list[int]) -> list[np.ndarray]:
        self.check()
        inputs = MethodInputs(self._image, self._mask, self._prompt, seeds)
        pictures = self.method.run(inputs, self.params, self)
        return list(as_arrays(pictures))

    @torch.inference_mode()
    def masks(self, seed: int) -> list[tuple[str, np.ndarray]]:
        """What a method of masks finds: names, and maps [h, w] in [0, 1] at the model's size.

        Raises `too-large` for more than a result may have."""
        self.check()
        inputs = MethodInputs(self._image, self._mask, self._prompt, [seed])
        masks = self.method.run(inputs, self.params, self)
        if len(masks) > MAX_LAYERS:
            sentence = (
                f"{self.method.title} found {len(masks)} parts, more than {MAX_LAYERS} at once; name fewer."
            )
            raise VelaturaError("too-large", sentence)
        return [(mask.name, mask.map.float().nan_to_num(0.0).cpu().numpy()) for mask in masks]

    @torch.inference_mode()
    def texts(self, seed: int) -> list[str]:
        """What a method of texts says, each once and as the protocol wants it."""
        self.check()
        inputs = MethodInputs(self._image, self._mask, self._prompt, [seed])
        said = map(one_line, self.method.run(inputs, self.params, self))
        return list(dict.fromkeys(text for text in said if text))[:MAX_TEXTS]

    @cached_property
    @torch.inference_mode()
    def reconstruction(self) -> Tensor:
        """See `Context`. Made once, when it is first asked for."""
        return self.decode(self.generator.encode(self._image))

    def step(self, i: int, n: int, preview: Callable[[], Tensor] | None = None) -> None:
        """See `Context`."""
        self.check()
        self._step = i
        start, share = self._share
        self.hooks.progress(self._stage, i, n, start + share * i / n)
        now = time.monotonic()
        if self.is_draft and i == n:
            return  # the finished picture is shown in a moment
        if preview is not None and now >= self._preview_after:
            self.hooks.preview(i, self._composite(preview()), self._rect)
            spent = time.monotonic() - now
            self._preview_after = now + max(spent / _PREVIEW_SHARE, 0.1)
            self.check()

    def decode(self, z: Tensor) -> Tensor:
        """See `Context`."""
        pictures = []
        for one in z.split(1):
            self.check()
            pictures.append(self.generator.decode(one))
        return torch.cat(pictures)

    def rank(self, i: int, n: int) -> None:
        """Says that i of n looks at the variations are done. Raises `Cancelled`."""
        self.check()
        self.hooks.progress("Ranking", i, n, self.edits + (1.0 - self.edits) * i / n)

    def check(self) -> None:
        """Raises `Cancelled` if the person wants it to stop."""
        if self.hooks.cancelled():
            raise Cancelled

    def show(self, picture: np.ndarray) -> None:
        """A finished picture [h, w, 3] in [0, 1] as a preview."""
        edited = _tensor(picture, self.generator.device) * 2.0 - 1.0
        self.hooks.preview(self._step, self._composite(edited), self._rect)

    def show_mask(self, map: np.ndarray) -> None:
        """A finished map [h, w] in [0, 1] as a preview, white on black."""
        shown = without_margins(np.repeat(map[..., None], 3, axis=2), self._region)
        self.hooks.preview(self._step, np.rint(shown * 255.0).astype(np.uint8), self._rect)

    def _composite(self, picture: Tensor) -> np.ndarray:
        """A picture within the mask, what was there outside it; without the mirrored margins."""
        edited = torch.lerp(self._image, picture.clamp(-1.0, 1.0), self._mask)[0]
        (top, left), (height, width) = self._region.offset, self._region.inner
        edited = edited[:, top : top + height, left : left + width]
        return ((edited + 1.0) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()


def as_arrays(pictures: Tensor) -> np.ndarray:
    """[N, 3, h, w] in [-1, 1] to [N, h, w, 3] in [0, 1]."""
    return ((pictures + 1.0) / 2.0).permute(0, 2, 3, 1).cpu().numpy()


def _tensor(picture: np.ndarray, device: torch.device) -> Tensor:
    """[h, w, C] to [1, C, h, w]."""
    return torch.from_numpy(picture).permute(2, 0, 1)[None].to(device, torch.float32).contiguous()
