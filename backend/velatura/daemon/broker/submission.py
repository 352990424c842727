"""A submitted request, checked and completed before any work: what cannot run is refused here."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence

from velatura.methods.kinds import KINDS
from velatura.methods.registry import lacking, no_drafts
from velatura.models.catalogue import ModelEntry
from velatura_protocol.dials import about_edit
from velatura_protocol.errors import VelaturaError
from velatura_protocol.inputs import OWN, check_inputs, rasters_of
from velatura_protocol.messages import MAX_JSON, canonical
from velatura_protocol.rasters import Raster, RasterObject
from velatura_protocol.requests import MAX_SEED, Request
from velatura_protocol.results import MAX_LAYERS, MAX_TITLE
from velatura_protocol.schema import complete, fields_from_schema, with_defaults

_JOB_ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_MAX_RECIPES = MAX_JSON - 32 * 1024  # a result holds one for each layer, and travels in one message
_BESIDE = 1536  # bytes that a layer has beside its request: digests, titles, raster, place


def job_id(value: object) -> str:
    """Raises `bad-request` unless it is a lower-case UUID."""
    if not isinstance(value, str) or not _JOB_ID.match(value):
        sentence = "An edit was named wrongly; update the plugin."
        raise VelaturaError("bad-request", sentence, detail=f"{value!r:.80}")
    return value


def complete_request(
    request: object, methods: Mapping[str, dict], models: Sequence[ModelEntry]
) -> tuple[dict, str]:
    """The request as it will run, and its title for the person.

    methods: by id, as the protocol describes them. Defaults are filled in, the seed and the model are chosen.
    Raises what `Request.from_wire` raises, and `unknown-method`, `unknown-model`, `bad-request`,
    `empty-prompt`, `empty-mask`, `too-large`, and what `check_inputs` raises.
    """
    inputs = Request.from_wire(request).inputs
    method = _method(request, methods)
    title = method["title"]
    if request["variations"] > method["max_variations"]:
        most = method["max_variations"]
        raise VelaturaError("bad-request", f"{title} makes at most {most} variations at once.")
    if request.get("draft") and not method.get("drafts", True):
        raise VelaturaError("bad-request", no_drafts(title))
    prompt = " ".join(request["prompt"].split())
    if not prompt and method["inputs"]["prompt"] == "required":
        raise VelaturaError("empty-prompt", f"{title} needs a prompt; say what should be there.")
    if request["inputs"].get("mask") is None and method["inputs"]["mask"] == "required":
        raise VelaturaError("empty-mask", f"{title} needs a selection; select what should change.")
    for name, given in (("prompt", prompt), ("mask", request["inputs"].get("mask"))):
        if given and method["inputs"][name] == "none":
            word = "selection" if name == "mask" else name
            raise VelaturaError("bad-request", f"{title} takes no {word}; leave it out.")
    seed, model = request["seed"], _model(request["model"]["id"], models)
    lack = lacking(method["id"], model)
    if lack is not None:
        raise lack
    whole = {
        "velatura": request["velatura"],
        "method": method["id"],
        "method_version": method["version"],
        "model": {"id": model.id, "digest": request["model"]["digest"]},
        "prompt": request["prompt"],
        "seed": secrets.randbelow(MAX_SEED + 1) if seed == -1 else seed,
        "variations": request["variations"],
        "parameters": complete(with_defaults(method["parameters"], model.defaults), request["parameters"]),
        "inputs": {},
        "canvas": request["canvas"],
    }
    whole["inputs"] = _inputs(method, inputs, whole["parameters"])
    kind = KINDS[method["result"]]
    layers, many = kind.most_layers(method["parameters"], whole), kind.noun
    if layers > MAX_LAYERS:
        sentence = f"{title} selects at most {MAX_LAYERS} {many} at once, not {layers}; name fewer."
        raise VelaturaError("bad-request", sentence)
    if (len(canonical(whole)) + _BESIDE) * layers > _MAX_RECIPES:
        raise VelaturaError("too-large", f"The parameters are too long for so many {many}; shorten them.")
    about = about_edit(fields_from_schema(method["parameters"]), prompt, whole["parameters"])
    return whole | ({"draft": True} if request.get("draft") else {}), _title(about, title)


def _title(about: str, method: str) -> str:
    """What it is about, cut where it is long, then the method: what stands first survives in a narrow
    docker."""
    if not about:
        return method[:MAX_TITLE]
    room = max(1, MAX_TITLE - len(method) - len(" · "))
    return f"{about if len(about) <= room else about[: room - 1] + '…'} · {method}"


def _method(request: dict, methods: Mapping[str, dict]) -> dict:
    method = methods.get(request["method"])
    if method is None:
        raise VelaturaError(
            "unknown-method", f"The daemon has no method {request['method']!r:.60}; choose another one."
        )
    if request["method_version"] not in (0, method["version"]):
        raise VelaturaError(
            "unknown-method",
            f"This edit was made with version {request['method_version']} of {method['title']}, and the"
            f" daemon has version {method['version']}; start the edit anew.",
        )
    return method


def _model(wanted: str, models: Sequence[ModelEntry]) -> ModelEntry:
    model = next((model for model in models if wanted in ("", model.id)), None)
    if model is None:
        raise VelaturaError("unknown-model", f"The daemon has no model {wanted!r:.60}; choose another one.")
    if model.fault:
        raise VelaturaError("unknown-model", model.fault)
    return model


def _inputs(
    method: dict, inputs: Mapping[str, Raster | None], parameters: dict
) -> dict[str, RasterObject | None]:
    """Every raster of the request as it is run: source, mask, then the further ones, each checked."""
    form = fields_from_schema(method["parameters"])
    further = check_inputs(method["title"], rasters_of(method), form, parameters, inputs)
    used = {name: inputs[name] for name in OWN} | further
    return {name: raster.to_wire() if raster else None for name, raster in used.items()}
