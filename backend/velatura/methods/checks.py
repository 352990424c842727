"""The checks of a request that need neither its pixels nor a loaded model. Imports no torch.

The broker makes them before it queues a job, and the worker again before it begins: a request that was queued
by an older daemon, or that comes from Python, is refused in the same words.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from velatura.generators import kinds
from velatura.models.catalogue import ModelEntry
from velatura.models.traits import NEEDED
from velatura_protocol.errors import VelaturaError
from velatura_protocol.inputs import check_inputs
from velatura_protocol.rasters import Raster
from velatura_protocol.requests import Request
from velatura_protocol.schema import complete, fields_from_schema, with_defaults

from . import guiding
from .adapting import without_empty
from .base import Method, Parameters, schema

EntryOf = Callable[[str, Callable[[ModelEntry], bool]], ModelEntry]
"""Gives the model of an id; for '' the first that the function likes, or where there is none the default."""


@dataclass(frozen=True)
class Checked:
    """A request that its method can run, as far as that can be known before work begins.

    Args:
        model: chosen, not loaded.
        prompt: without the space around it. Space within it stays: a new line can separate phrases.
        values: the parameters as JSON, with their defaults.
        params: the same, read.
        form: the schema of the parameters.
        rasters: the rasters besides source and mask, by name.
    """

    method: Method
    model: ModelEntry
    prompt: str
    values: dict[str, Any]
    params: Parameters
    form: dict[str, Any]
    rasters: dict[str, Raster]


def check(request: Request, methods: Mapping[str, Method], entry_of: EntryOf) -> Checked:
    """Checks a request against its method and its model.

    Args:
        methods: by id.
        entry_of: see `EntryOf`; raises `unknown-model`.

    Raises:
        VelaturaError: `unknown-method`, `unknown-model`, `bad-request`, `empty-prompt`, `empty-mask`,
            those of `check_inputs` and those of the method's own `check`.
    """
    method = _method(request, methods)
    prompt = request.prompt.strip()
    _check_asked(request, method, prompt)
    model = entry_of(request.model, lambda model: suits(method, model))
    if model.fault:
        raise VelaturaError("unknown-model", model.fault)
    lack = lacking(method, model)
    if lack is not None:
        raise lack
    form = schema(method.Parameters)
    values = without_empty(complete(with_defaults(form, model.defaults), dict(request.parameters)))
    params = _read(method, values)
    if method.inverts(params) and request.inputs.get("mask") is None:
        raise VelaturaError(
            "empty-mask", "Select what should stay, or let the selection change instead of everything else."
        )
    if request.variations > 1 and not method.varies(params):
        raise VelaturaError(
            "bad-request", f"With these settings “{method.title}” gives one result; ask for one variation."
        )
    fields = fields_from_schema(form)
    rasters = check_inputs(method.title, method.inputs.rasters, fields, values, request.inputs)
    method.check(prompt, params)
    guiding.check(model.found, model.id, params)
    return Checked(method, model, prompt, values, params, form, rasters)


def suits(method: Method, model: ModelEntry) -> bool:
    """Whether a model is of the method's kind and has its trait. The files of a model at a hub that is not
    here say nothing of it, so it is not preferred; the worker refuses it where it cannot."""
    is_kind = kinds.suits(method.generator, model.generator)
    return is_kind and (not method.trait or (model.found is not None and model.found.has(method.trait)))


def lacking(method: Method, model: ModelEntry) -> VelaturaError | None:
    """Why the method cannot run with the model; None where the model has all that the method needs."""
    if not kinds.suits(method.generator, model.generator):
        return VelaturaError(
            "unknown-model",
            f"{method.title!r} needs {kinds.titles_of(method.generator)}, and {model.title!r} is"
            f" {kinds.title(model.generator)}; choose another model or another method.",
        )
    if not suits(method, model) and not (model.kind == "hub" and model.found is None):
        return VelaturaError(
            "unknown-model",
            f"{method.title!r} needs {NEEDED[method.trait]}, and {model.title!r} does not; add one with"
            " `velatura models add`, or choose another method.",
        )
    if not method.needs or method.needs in model.companions:
        return None
    return without(method.needs, method, model)


def without(companion: str, method: Method, model: ModelEntry) -> VelaturaError:
    """The refusal of a method that uses a companion which the model lacks."""
    return VelaturaError(
        "unknown-model",
        f"The model {model.title!r} has no {companion} for {method.title!r}; name one with"
        f" `velatura models change {model.id} --{companion} …`, or choose another model.",
    )


def _method(request: Request, methods: Mapping[str, Method]) -> Method:
    method = methods.get(request.method)
    if method is None:
        raise VelaturaError(
            "unknown-method", f"The daemon has no method {request.method!r:.60}; choose another one."
        )
    if request.method_version not in (0, method.version):
        raise VelaturaError(
            "unknown-method",
            f"This edit was made with version {request.method_version} of “{method.title}”, and the"
            f" daemon has version {method.version}; start the edit anew.",
        )
    return method


def _check_asked(request: Request, method: Method, prompt: str) -> None:
    """Compares the request with the method's declaration."""
    title, needs = method.title, method.inputs
    if request.variations > method.max_variations:
        raise VelaturaError(
            "bad-request", f"“{title}” makes at most {method.max_variations} variations at once."
        )
    if request.draft and not method.drafts:
        raise VelaturaError(
            "bad-request", f"“{title}” has nothing to show before it is done; run the edit itself."
        )
    if not prompt and needs.prompt == "required":
        raise VelaturaError("empty-prompt", f"“{title}” needs a prompt; say what should be there.")
    if prompt and needs.prompt == "none":
        raise VelaturaError("bad-request", f"“{title}” takes no prompt; leave it out.")
    mask = request.inputs.get("mask")
    if mask is None and needs.mask == "required":
        raise VelaturaError("empty-mask", f"“{title}” needs a selection; select what should change.")
    if mask is not None and needs.mask == "none":
        raise VelaturaError("bad-request", f"“{title}” takes no selection; leave it out.")


def _read(method: Method, values: Mapping[str, Any]) -> Parameters:
    """The parameters of complete values; a class may check more than its schema says."""
    try:
        return method.Parameters(**values)
    except ValueError as error:
        sentence = f"“{method.title}” cannot run with these settings; change them."
        raise VelaturaError("bad-request", sentence, detail=str(error)) from error
