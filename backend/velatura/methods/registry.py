"""The methods this package holds. Importing this module imports every method, and no torch."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterable, Sequence
from functools import cache
from types import MappingProxyType

from velatura import methods as package
from velatura.models.catalogue import ModelEntry
from velatura_protocol.errors import VelaturaError
from velatura_protocol.inputs import RASTERS_SINCE, rasters_of
from velatura_protocol.messages import canonical, digest
from velatura_protocol.schema import with_defaults

from .base import Method, schema
from .kinds import KINDS

_NO_METHODS = {
    "base",
    "execute",
    "fields",
    "flowing",
    "kinds",
    "progress",
    "registry",
    "results",
    "run",
    "work",
}


@cache
def registry() -> MappingProxyType[str, Method]:
    """Every method by its id, sorted by place and title. Raises TypeError if two have one id."""
    for module in pkgutil.iter_modules(package.__path__):
        if module.name not in _NO_METHODS:
            importlib.import_module(f"{package.__name__}.{module.name}")
    found: dict[str, Method] = {}
    for cls in sorted(_concrete(Method), key=lambda cls: (cls.place, cls.title)):
        if cls.id in found:
            raise TypeError(f"{cls.__name__} and {type(found[cls.id]).__name__} have one id, {cls.id!r}")
        found[cls.id] = cls()
    return MappingProxyType(found)


def describe(method: Method) -> dict:
    """A method as the protocol tells clients of it (SPEC section 4, `methods`)."""
    return {
        "id": method.id,
        "version": method.version,
        "title": method.title,
        "summary": method.summary,
        "source": method.source,
        "inputs": {
            "source": method.inputs.source,
            "mask": method.inputs.mask,
            "prompt": method.inputs.prompt,
        },
        "rasters": [raster.to_wire() for raster in method.inputs.all_rasters()],
        "result": method.result,
        "max_variations": method.max_variations,
        "drafts": method.drafts,
        "parameters": schema(method.Parameters),
    }


def since(method: dict) -> int:
    """The protocol's MINOR from which clients can use a method, as `describe` gives it: an older one would
    take a mask for a picture, or could not send a raster that is required."""
    rasters = any(raster.need == "required" for raster in rasters_of(method))
    return max(KINDS[method["result"]].since, RASTERS_SINCE if rasters else 0)


def no_drafts(title: str) -> str:
    """Why a draft of the method of this title is refused, and what to do."""
    return f"{title} has nothing to show before it is done; run the edit itself."


def offer(methods: Iterable[dict], models: Sequence[ModelEntry]) -> dict:
    """The answer to `methods` (SPEC section 4), less `type`.

    methods: as `describe` gives them. The defaults of the first model, which is the default one, take the
    place of the methods' own; those of every model, and what it lacks, stand beside it.
    """
    first = models[0].defaults if models else {}
    known = [{**m, "parameters": with_defaults(m["parameters"], first)} for m in methods]
    described = [
        {
            "id": model.id,
            "title": model.title,
            "kind": model.kind,
            "size": model.size,
            "defaults": model.defaults,
            "lacks": [method["id"] for method in known if lacking(method["id"], model)],
        }
        for model in models
    ]
    return {"digest": digest(canonical(known)), "methods": known, "models": described}


def lacking(method: str, model: ModelEntry) -> VelaturaError | None:
    """Why the method of this id cannot run with the model; None where it has all that the method needs."""
    known = registry().get(method)
    if known is None or not known.needs or known.needs in model.companions:
        return None
    return VelaturaError(
        "unknown-model",
        f"The model {model.title!r} has no {known.needs} for {known.title!r}; name one with"
        f" `velatura models change {model.id} --{known.needs} …`, or choose another model.",
    )


def _concrete(cls: type[Method]) -> list[type[Method]]:
    """The methods of this package; a test's own subclasses do not count."""
    return [sub for sub in cls.__subclasses__() if sub.__module__.startswith(package.__name__ + ".")]
