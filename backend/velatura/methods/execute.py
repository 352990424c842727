"""Runs one request: from the rasters that arrived to the layers, or the masks, that go back."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from velatura.canvas.geometry import Region, plan
from velatura.canvas.masks import mask_of_layer
from velatura.canvas.paste import paste
from velatura.canvas.region import Seen, see, without_margins
from velatura.canvas.selection import Layer, Selection
from velatura.inversion.cache import Memory
from velatura.models.model import Model
from velatura.models.store import ModelStore
from velatura.ranking.views import Scene
from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Raster

from .base import Cancelled, Method, MethodInputs, Parameters
from .registry import registry
from .results import ResultLayer, mask_layer, ranked, result_layer

__all__ = ["Cancelled", "Hooks", "ResultLayer", "execute"]

_PREVIEW_SHARE = 0.2  # of the time may go into previews
_SEEDS = 2**31


class Hooks(Protocol):
    """What a run tells its worker, and asks it. Called on the thread of `execute`."""

    def progress(self, stage: str, step: int, steps: int, fraction: float) -> None:
        """stage: for the person. step of steps, from 0; fraction of the whole run in [0, 1]."""

    def preview(self, step: int, rgb: np.ndarray) -> None:
        """rgb: uint8 [h, w, 3], the part of the layer that is edited as it is expected to become."""

    def cancelled(self) -> bool:
        """Whether to stop."""


def execute(
    request: dict,
    blob: Callable[[str], bytes | memoryview],
    models: ModelStore,
    hooks: Hooks,
    memory: Memory | None = None,
) -> list[ResultLayer]:
    """The variations that a request asks for, in the order of their seeds; several are ranked. Of a method of
    masks, the masks in its own order. Of a draft nothing: its first variation, or mask, is the last preview.

    request: SPEC section 5, complete: seed chosen, parameters with their defaults. blob: the bytes of a
    digest. memory: of pictures, from one edit to the next; by default none. Raises `Cancelled`, or
    VelaturaError: `unknown-method`, `bad-request`, then what is wrong with the pixels (`bad-layer`,
    `unsupported-colour`, `empty-mask`, `mask-outside`), `empty-prompt`, then `unknown-model`,
    `prompt-too-long`, `empty-layer`, and `out-of-memory`."""
    method, params = _method(request)
    if request["variations"] > 1 and not method.varies(params):
        raise VelaturaError(
            "bad-request", f"With these settings {method.title} gives one result; ask for one variation."
        )
    source = Raster.from_wire(request["inputs"]["source"])
    mask = request["inputs"].get("mask")
    mask = Raster.from_wire(mask) if mask is not None else None
    if mask is None and method.inputs.mask == "required":
        raise VelaturaError("empty-mask", f"{method.title} needs a selection; select what to change.")
    layer = Layer.of(source, blob(source.digest))
    selection = Selection.of(mask, blob(mask.digest) if mask else b"", layer)
    prompt = request["prompt"].strip()
    if method.inputs.prompt == "required" and not prompt:
        raise VelaturaError("empty-prompt", "Describe in the prompt what should be there.")

    hooks.progress("Loading the model", 0, 0, 0.0)
    try:
        model = _model(request, models)
        for text in (prompt, getattr(params, "negative_prompt", "")):
            model.check_prompt(text)
        context = getattr(params, "context", 1.0)
        region = plan(selection.bounds, layer.pixels.shape[:2], model.size, model.multiple, context)
        seen = see(layer, selection, region)
        is_draft = request.get("draft", False)
        memory = memory or Memory(None, 0, 0, 0)
        run = _Run(method, params, model, memory, hooks, prompt, region, seen, is_draft)
        seeds = [(request["seed"] + i) % _SEEDS for i in range(1 if is_draft else request["variations"])]
        recipe = request | {"model": {"id": model.id, "digest": model.digest}}
        if method.result == "mask":
            found = run.masks(seeds[0])
            if is_draft:
                run.show_mask(found[0][1])
                return []
            hooks.progress("Finishing", 0, 0, 1.0)
            return [
                mask_layer(recipe, i, seeds[0], source, name, mask_of_layer(layer, selection, region, map))
                for i, (name, map) in enumerate(found)
            ]
        edited = run.variations(seeds)
        if is_draft:
            run.show(edited[0])
            return []
        hooks.progress("Finishing", 0, 0, 1.0)
        unedited, reach = run.reconstruction(), model.factor // 4
        results = [
            result_layer(
                recipe,
                i,
                seed,
                source,
                paste(layer, selection, region, seen, picture, unedited, reach),
            )
            for i, (seed, picture) in enumerate(zip(seeds, edited, strict=True))
        ]
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        raise VelaturaError(
            "out-of-memory",
            "There is too little memory for this edit; try fewer variations or close other programs.",
            retryable=True,
            detail=str(error),
        ) from error
    if len(results) == 1:
        return results
    hooks.progress("Ranking", 0, 0, 1.0)
    scene = Scene(layer, selection, seen.backdrop, model.size)
    return ranked(results, scene, method.wanted(prompt, params), models.encoder, run.check)


def _method(request: dict) -> tuple[Method, Parameters]:
    method = registry().get(request["method"])
    if method is None or request["method_version"] not in (0, method.version):
        raise VelaturaError(
            "unknown-method", f"There is no method {request['method']!r:.60} here; update Velatura."
        )
    if not 1 <= request["variations"] <= method.max_variations:
        raise VelaturaError("bad-request", f"Ask for 1 to {method.max_variations} variations.")
    try:
        return method, method.Parameters(**request["parameters"])
    except ValueError as error:
        raise VelaturaError("bad-request", "A parameter is out of its bounds.", detail=str(error)) from error


def _model(request: dict, models: ModelStore) -> Model:
    model = models.get(request["model"]["id"])
    if request["model"]["digest"] not in ("", model.digest):
        raise VelaturaError(
            "unknown-model",
            f"The files of the model {model.id!r} are not those this was made with; choose the model again.",
        )
    return model


class _Run:
    """One method on one region; the `Context` of its steps."""

    def __init__(
        self,
        method: Method,
        params: Parameters,
        model: Model,
        memory: Memory,
        hooks: Hooks,
        prompt: str,
        region: Region,
        seen: Seen,
        is_draft: bool = False,
    ) -> None:
        self.method, self.params, self.model, self.hooks = method, params, model, hooks
        self.memory = memory
        self._prompt, self._region = prompt, region
        self._image = _tensor(seen.image, model.device) * 2.0 - 1.0
        self._mask = _tensor(seen.mask[..., None], model.device)
        self._share = (0.0, 1.0)  # of the whole run: where the present batch begins, and how much it is
        self._preview_after = 0.0
        self._is_draft = is_draft
        self._step = 0

    def variations(self, seeds: list[int]) -> list[np.ndarray]:
        """A picture [h, w, 3] in [0, 1] a seed. In one batch if memory allows, else in smaller ones: what
        becomes of a seed does not depend on the batch."""
        done: list[np.ndarray] = []
        size = len(seeds)
        while len(done) < len(seeds):
            batch = seeds[len(done) : len(done) + size]
            self._share = (len(done) / len(seeds), len(batch) / len(seeds))
            try:
                done += self._batch(batch)
            except (MemoryError, RuntimeError) as error:
                if size == 1 or not _is_out_of_memory(error):
                    raise
            else:
                continue
            size = (size + 1) // 2  # out here, where the failed batch's tensors are no longer held
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
        return done

    @torch.inference_mode()
    def _batch(self, seeds: list[int]) -> list[np.ndarray]:
        self.check()
        inputs = MethodInputs(self._image, self._mask, self._prompt, seeds)
        pictures = self.method.run(inputs, self.params, self)
        return list(_picture(pictures))

    @torch.inference_mode()
    def masks(self, seed: int) -> list[tuple[str, np.ndarray]]:
        """What a method of masks finds: names, and maps [h, w] in [0, 1] at the model's size."""
        self.check()
        inputs = MethodInputs(self._image, self._mask, self._prompt, [seed])
        masks = self.method.run(inputs, self.params, self)
        return [(mask.name, mask.map.float().nan_to_num(0.0).cpu().numpy()) for mask in masks]

    @torch.inference_mode()
    def reconstruction(self) -> np.ndarray:
        """What the autoencoder makes of the unedited picture, [h, w, 3] in [0, 1]."""
        return _picture(self.decode(self.model.encode(self._image)))[0]

    def step(self, i: int, n: int, preview: Callable[[], Tensor] | None = None) -> None:
        """See `Context`."""
        self.check()
        self._step = i
        start, share = self._share
        self.hooks.progress("Editing", i, n, start + share * i / n)
        now = time.monotonic()
        if self._is_draft and i == n:
            return  # the finished picture is shown in a moment
        if preview is not None and now >= self._preview_after:
            self.hooks.preview(i, self._composite(preview()))
            spent = time.monotonic() - now
            self._preview_after = now + max(spent / _PREVIEW_SHARE, 0.1)
            self.check()

    def decode(self, z: Tensor) -> Tensor:
        """See `Context`."""
        pictures = []
        for one in z.split(1):
            self.check()
            pictures.append(self.model.decode(one))
        return torch.cat(pictures)

    def check(self) -> None:
        """Raises `Cancelled` if the person wants it to stop."""
        if self.hooks.cancelled():
            raise Cancelled

    def show(self, picture: np.ndarray) -> None:
        """A finished picture [h, w, 3] in [0, 1] as a preview."""
        edited = _tensor(picture, self.model.device) * 2.0 - 1.0
        self.hooks.preview(self._step, self._composite(edited))

    def show_mask(self, map: np.ndarray) -> None:
        """A finished map [h, w] in [0, 1] as a preview, white on black."""
        shown = without_margins(np.repeat(map[..., None], 3, axis=2), self._region)
        self.hooks.preview(self._step, np.rint(shown * 255.0).astype(np.uint8))

    def _composite(self, picture: Tensor) -> np.ndarray:
        """A picture within the mask, what was there outside it; without the mirrored margins."""
        edited = torch.lerp(self._image, picture.clamp(-1.0, 1.0), self._mask)[0]
        (top, left), (height, width) = self._region.offset, self._region.inner
        edited = edited[:, top : top + height, left : left + width]
        return ((edited + 1.0) * 127.5).round().byte().permute(1, 2, 0).cpu().numpy()


def _is_out_of_memory(error: Exception) -> bool:
    """torch has a class for a device that is full, and only a sentence for a machine that is."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "can't allocate memory" in str(error)


def _picture(pictures: Tensor) -> np.ndarray:
    """[N, 3, h, w] in [-1, 1] to [N, h, w, 3] in [0, 1]."""
    return ((pictures + 1.0) / 2.0).permute(0, 2, 3, 1).cpu().numpy()


def _tensor(picture: np.ndarray, device: torch.device) -> Tensor:
    """[h, w, C] to [1, C, h, w]."""
    return torch.from_numpy(picture).permute(2, 0, 1)[None].to(device, torch.float32).contiguous()
