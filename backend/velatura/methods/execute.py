"""Runs one request: from the rasters that arrived to the layers, masks or texts that go back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from velatura.cache.cache import Cache
from velatura.canvas.geometry import Box, Region, plan
from velatura.canvas.rasters import Given, given
from velatura.canvas.region import see
from velatura.canvas.selection import Layer, Selection
from velatura.diffusion.noise import SEEDS, close_to
from velatura.generators.protocol import Generator
from velatura.models.store import ModelStore
from velatura.weights import out_of_memory
from velatura_protocol.crops import CONTEXT, needed
from velatura_protocol.errors import VelaturaError
from velatura_protocol.inputs import kinds_of
from velatura_protocol.rasters import Raster
from velatura_protocol.requests import Request
from velatura_protocol.schema import fields_from_schema

from . import controlling, led
from .adapting import KEY, named, remarks_on, texts, wanted
from .around import steps_of
from .base import Cancelled
from .checks import Checked, check
from .kinds import KINDS
from .registry import registry
from .results import ResultLayer, with_remarks
from .room import remark
from .run import Hooks, Run
from .work import Work

__all__ = ["Cancelled", "Hooks", "ResultLayer", "execute"]


def execute(
    request: dict[str, Any],
    blob: Callable[[str], bytes | memoryview],
    models: ModelStore,
    hooks: Hooks,
    cache: Cache | None = None,
    shelf: Path | None = None,
    arrived: Callable[[ResultLayer], None] = lambda layer: None,
) -> Sequence[ResultLayer | str]:
    """The results of a request, as the method's kind of result orders them (`kinds`).

    A draft gives none unless they are texts: its first variation, or mask, is the last preview.

    Args:
        request: SPEC section 5, complete: the seed is chosen, the parameters have their defaults.
        blob: gives the bytes of a digest.
        cache: keeps values from one edit to the next; None keeps nothing.
        shelf: the folder of the kept dials; None: there are none, and none can be kept.
        arrived: called with each of several variations as soon as it is done, with the pixels and the recipe
            of the result.

    Raises:
        Cancelled: the person has cancelled the job.
        VelaturaError: in this order, those of `Request.from_wire` and of `checks.check`; faults of the pixels
            (`bad-layer`, `unsupported-colour`, `empty-mask`, `mask-outside`); `unknown-model` for other files
            than the request names, `prompt-too-long`, `empty-layer`; and `out-of-memory`.
    """
    asked = Request.from_wire(request)
    checked = check(asked, registry(), models.entry)
    method, params, prompt = checked.method, checked.params, checked.prompt
    source, mask = asked.inputs["source"], asked.inputs["mask"]
    assert source is not None  # `Request.from_wire` refuses a request without one
    layer = Layer.of(source, blob(source.digest), _profile(source, blob))
    selection = Selection.of(mask, blob(mask.digest) if mask else b"", layer)
    if method.from_nothing and mask is None:
        selection = Selection.everything(layer)
    if method.inverts(params):
        selection = selection.inverted(layer)
    rasters = _rasters(checked, blob)
    chosen = controlling.wanted(params, checked.model, models.guides()) if _guided(checked) else []
    worn = wanted(params, checked.model, models.adapters()) if checked.values.get(KEY) else []

    hooks.progress("Loading the model", 0, 0, 0.0)
    try:
        plain = _model(asked, checked.model.id, models)
        with models.wearing(worn) as (model, adapters):
            if not method.reads_prompt:
                model.check_prompt(prompt)
                for mark in ("x-source-prompt", "x-prompt"):
                    for title, text in params.marked_with_titles(mark):
                        model.check_prompt(text, f"“{title}”")
            (context,) = params.marked("x-context") or [CONTEXT]
            region = _region(selection, layer, model, method.sees, context)
            layer = layer.toned(region.crop)
            seen = see(layer, selection, region, may_be_empty=method.from_nothing)
            further = {
                name: raster.seen(layer, region, model.size, model.multiple)
                for name, raster in rasters.items()
            }
            unseeing = controlling.unseeing(params, prompt)
            model, guides = led.led(models, model, chosen, seen, further, unseeing)
            is_draft = asked.draft
            run = Run(
                method,
                params,
                prompt,
                layer,
                region,
                seen,
                models,
                checked.model,
                model,
                Cache() if cache is None else cache,
                hooks,
                is_draft=is_draft,
                shelf=shelf,
                rasters=further,
            )
            own, path = range(1 if is_draft else asked.variations), steps_of(params)
            seeds = [close_to((asked.seed + i) % SEEDS, path) for i in own]
            if method.selection_is_amount(rasters):
                selection = selection.whole()
            recipe = request | {"model": {"id": plain.id, "digest": plain.digest}} | named(adapters)
            recipe |= led.named(guides)
            work = Work(run, layer, selection, seen, source, recipe, seeds, arrived)
            results = KINDS[method.result].make(work)
            remarks = [
                remark(model),
                models.shortage,
                *remarks_on(adapters, texts(prompt, params)),
                *sorted(run.remarks),
            ]
            return with_remarks(results, list(filter(None, remarks)))
    except (MemoryError, OSError, RuntimeError) as error:
        if not out_of_memory.is_out_of_memory(error):
            raise
        raise out_of_memory.as_velatura_error(error) from error


def _guided(checked: Checked) -> bool:
    return any(checked.values.get(key) for key in (controlling.GUIDES, controlling.LOOKS))


def _region(selection: Selection, layer: Layer, model: Generator, sees: int, context: float) -> Region:
    """The part of the layer that a method sees, and its size. sees: see `Method`."""
    size, side = (layer.box.height, layer.box.width), model.size
    layer.need(Box.of(needed(selection.bounds.rect, size[::-1], side, context)))
    region = plan(selection.bounds, size, side, model.multiple, context)
    if sees == 1:
        return region
    there = max(region.crop.width, region.crop.height)
    return plan(selection.bounds, size, max(side, min(there, sees * side)), model.multiple, context)


def _rasters(checked: Checked, blob: Callable[[str], bytes | memoryview]) -> dict[str, Given]:
    """The further rasters by name, read before anything slow begins."""
    wanted = kinds_of(checked.method.inputs.rasters, fields_from_schema(checked.form), checked.values)
    return {
        name: given(
            wanted[name].kind, wanted[name].title, raster, blob(raster.digest), _profile(raster, blob)
        )
        for name, raster in checked.rasters.items()
    }


def _profile(raster: Raster, blob: Callable[[str], bytes | memoryview]) -> bytes:
    """The raster's ICC profile; empty where it has none."""
    return bytes(blob(raster.icc)) if raster.icc else b""


def _model(asked: Request, id: str, models: ModelStore) -> Generator:
    model = models.get(id, asked.model_digest)
    if asked.model_digest not in ("", model.digest):
        raise VelaturaError(
            "unknown-model",
            f"The files of the model {model.id!r} are not those this was made with; choose the model again.",
        )
    return model
