"""Runs one request: from the rasters that arrived to the layers, masks or texts that go back."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from velatura.canvas.geometry import plan
from velatura.canvas.masks import mask_of_layer
from velatura.canvas.paste import paste
from velatura.canvas.region import see
from velatura.canvas.selection import Layer, Selection
from velatura.diffusion.network import LatentDiffusion
from velatura.generators.protocol import DIFFUSION, Generator
from velatura.inversion.cache import Memory
from velatura.models.store import ModelStore
from velatura.ranking.asked import Asked
from velatura.ranking.views import Scene
from velatura.weights import out_of_memory
from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Raster

from .base import Cancelled, Method, Parameters
from .registry import lacking, registry
from .results import ResultLayer, mask_layer, ranked, result_layer
from .run import Hooks, Run, as_arrays

__all__ = ["Cancelled", "Hooks", "ResultLayer", "execute"]

_SEEDS = 2**31


def execute(
    request: dict,
    blob: Callable[[str], bytes | memoryview],
    models: ModelStore,
    hooks: Hooks,
    memory: Memory | None = None,
) -> list[ResultLayer] | list[str]:
    """The variations that a request asks for, in the order of their seeds; several are ranked. Of a method of
    masks, the masks in its own order; of one of texts, the texts, the likeliest first. Of a draft nothing,
    unless it is of texts: its first variation, or mask, is the last preview.

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
    method.check(prompt, params)

    hooks.progress("Loading the model", 0, 0, 0.0)
    try:
        model = _model(request, method, models)
        if not method.needs:  # else the model reads nothing of it
            for text in (prompt, getattr(params, "negative_prompt", "")):
                model.check_prompt(text)
        context = getattr(params, "context", 1.0)
        region = plan(selection.bounds, layer.pixels.shape[:2], model.size, model.multiple, context)
        seen = see(layer, selection, region)
        is_draft = request.get("draft", False)
        memory = memory or Memory(None, 0, 0, 0)
        run = Run(
            method,
            params,
            prompt,
            layer,
            region,
            seen,
            models,
            model,
            memory,
            hooks,
            is_draft=is_draft,
        )
        seeds = [(request["seed"] + i) % _SEEDS for i in range(1 if is_draft else request["variations"])]
        recipe = request | {"model": {"id": model.id, "digest": model.digest}}
        if method.result == "text":
            return run.texts(seeds[0])
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
        hooks.progress("Finishing", 0, 0, run.edits)
        unedited, reach = as_arrays(run.reconstruction)[0], max(1, model.factor // 4)
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
    except (MemoryError, OSError, RuntimeError) as error:
        if not out_of_memory.is_out_of_memory(error):
            raise
        raise out_of_memory.told(error) from error
    if len(results) == 1:
        return results
    wanted = method.wanted(prompt, params) if model.kind == DIFFUSION else ""  # else nothing reads it
    asked = Asked(cast(LatentDiffusion, model), seen, wanted, method.before(params))
    return ranked(results, edited, Scene(layer, selection, seen.backdrop), asked, run.rank)


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


def _model(request: dict, method: Method, models: ModelStore) -> Generator:
    lack = lacking(method.id, models.entry(request["model"]["id"]))
    if lack is not None:
        raise lack
    model = models.get(request["model"]["id"])
    if request["model"]["digest"] not in ("", model.digest):
        raise VelaturaError(
            "unknown-model",
            f"The files of the model {model.id!r} are not those this was made with; choose the model again.",
        )
    return model
