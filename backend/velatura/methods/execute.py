"""Runs one request: from the rasters that arrived to the layers, masks or texts that go back."""

from __future__ import annotations

from collections.abc import Callable

from velatura.cache.cache import Cache
from velatura.canvas.geometry import plan
from velatura.canvas.rasters import Given, given
from velatura.canvas.region import see
from velatura.canvas.selection import Layer, Selection
from velatura.generators.protocol import Generator
from velatura.models.store import ModelStore
from velatura.weights import out_of_memory
from velatura_protocol.errors import VelaturaError
from velatura_protocol.inputs import check_inputs, kinds_of
from velatura_protocol.rasters import Raster
from velatura_protocol.schema import fields_from_schema

from .base import Cancelled, Method, Parameters, schema
from .kinds import KINDS
from .registry import lacking, no_drafts, registry
from .results import ResultLayer
from .run import Hooks, Run
from .work import Work

__all__ = ["Cancelled", "Hooks", "ResultLayer", "execute"]

_SEEDS = 2**31
_CONTEXT = 1.0  # of the surroundings, in sizes of the selection, where a method does not ask


def execute(
    request: dict,
    blob: Callable[[str], bytes | memoryview],
    models: ModelStore,
    hooks: Hooks,
    cache: Cache | None = None,
) -> list[ResultLayer] | list[str]:
    """The variations that a request asks for, in the order of their seeds; several are ranked. Of a method of
    masks, the masks in its own order; of one of texts, the texts, the likeliest first. Of a draft nothing,
    unless it is of texts: its first variation, or mask, is the last preview.

    request: SPEC section 5, complete: seed chosen, parameters with their defaults. blob: the bytes of a
    digest. cache: what is kept from one edit to the next; by default nothing. Raises `Cancelled`, or
    VelaturaError: `unknown-method`, `bad-request`, then what is wrong with the pixels (`bad-layer`,
    `unsupported-colour`, `empty-mask`, `mask-outside`), `empty-prompt`, then `unknown-model`,
    `prompt-too-long`, `empty-layer`, and `out-of-memory`."""
    method, params = _method(request)
    if request.get("draft") and not method.drafts:
        raise VelaturaError("bad-request", no_drafts(method.title))
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
    rasters = _rasters(request, method, blob)
    prompt = request["prompt"].strip()
    if method.inputs.prompt == "required" and not prompt:
        raise VelaturaError("empty-prompt", "Describe in the prompt what should be there.")
    method.check(prompt, params)

    hooks.progress("Loading the model", 0, 0, 0.0)
    try:
        model = _model(request, method, models)
        if not method.needs:  # else the model reads nothing of it
            model.check_prompt(prompt)
            for mark in ("x-source-prompt", "x-prompt"):
                for title, text in params.marked_with_titles(mark):
                    model.check_prompt(text, f"“{title}”")
        (context,) = params.marked("x-context") or [_CONTEXT]
        region = plan(selection.bounds, layer.pixels.shape[:2], model.size, model.multiple, context)
        seen = see(layer, selection, region)
        is_draft = request.get("draft", False)
        run = Run(
            method,
            params,
            prompt,
            layer,
            region,
            seen,
            models,
            model,
            Cache() if cache is None else cache,
            hooks,
            is_draft=is_draft,
            rasters={
                name: found.seen(layer, region, model.size, model.multiple) for name, found in rasters.items()
            },
        )
        seeds = [(request["seed"] + i) % _SEEDS for i in range(1 if is_draft else request["variations"])]
        recipe = request | {"model": {"id": model.id, "digest": model.digest}}
        return KINDS[method.result].make(Work(run, layer, selection, seen, source, recipe, seeds))
    except (MemoryError, OSError, RuntimeError) as error:
        if not out_of_memory.is_out_of_memory(error):
            raise
        raise out_of_memory.as_velatura_error(error) from error


def _rasters(request: dict, method: Method, blob: Callable[[str], bytes | memoryview]) -> dict[str, Given]:
    """The further rasters by name, read before anything slow is begun."""
    fields, parameters = fields_from_schema(schema(method.Parameters)), request["parameters"]
    inputs = {
        name: Raster.from_wire(raster) for name, raster in request["inputs"].items() if raster is not None
    }
    found = check_inputs(method.title, method.inputs.rasters, fields, parameters, inputs)
    wanted = kinds_of(method.inputs.rasters, fields, parameters)
    return {
        name: given(wanted[name].kind, wanted[name].title, raster, blob(raster.digest))
        for name, raster in found.items()
    }


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
