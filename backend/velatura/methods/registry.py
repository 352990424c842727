"""Which methods there are: those of this package, and those that others offer. Imports no torch.

A package offers methods by an entry point of the group `velatura.methods`, whose value is a `Method` class or
a module with several. One that cannot be imported, or whose id is taken, is left out; all others are there.
"""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import EntryPoint
from types import MappingProxyType, ModuleType
from typing import NamedTuple

from velatura import methods as package
from velatura.extensions.offers import Refused, offers, refuse
from velatura.generators import kinds
from velatura.models.catalogue import ModelEntry
from velatura_protocol.inputs import RASTERS_SINCE, rasters_of
from velatura_protocol.messages import canonical, digest
from velatura_protocol.schema import with_defaults

from .base import Method, schema
from .checks import lacking
from .kinds import KINDS

GROUP = "velatura.methods"
_NO_METHODS = {
    "base",
    "checks",
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


class _Known(NamedTuple):
    methods: MappingProxyType[str, Method]
    refused: tuple[Refused, ...]


def registry() -> MappingProxyType[str, Method]:
    """Every method by its id, sorted by place and title. Raises TypeError if two of ours have one id."""
    return _known().methods


def refused() -> tuple[Refused, ...]:
    """What other packages offer and is left out: methods, and the kinds of models that they need."""
    return (*_known().refused, *kinds.offered().refused)


@cache
def _known() -> _Known:
    found: dict[str, Method] = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.name not in _NO_METHODS:
            for cls in _methods_of(importlib.import_module(f"{package.__name__}.{module.name}")):
                if cls.id in found:
                    raise TypeError(
                        f"{cls.__name__} and {type(found[cls.id]).__name__} have one id, {cls.id!r}"
                    )
                found[cls.id] = cls()
    offered = offers(GROUP, _offered, "method")
    left_out = list(offered.refused)
    for offer in offered.loaded:
        for method in offer.value:
            if method.id in found:
                reason = f"there is another method of this name, {found[method.id].title!r}"
                left_out.append(refuse(f"The method {method.id!r}", offer.package, reason))
            else:
                found[method.id] = method
    ordered = sorted(found.values(), key=lambda method: (method.place, method.title))
    return _Known(MappingProxyType({method.id: method for method in ordered}), tuple(left_out))


def _offered(entry: EntryPoint) -> list[Method]:
    """The methods that an entry point names, at least one."""
    value = entry.load()
    classes = _methods_of(value) if inspect.ismodule(value) else [value]
    if not classes:
        raise TypeError(f"the module {entry.value} has no method")
    if not all(inspect.isclass(cls) and issubclass(cls, Method) for cls in classes):
        raise TypeError(f"{entry.value} is no method")
    return [cls() for cls in classes]


def _methods_of(module: ModuleType) -> list[type[Method]]:
    """The methods that are defined in a module, or, if it is a package, in the modules within it that it
    imports them from; not those that it imports from elsewhere."""
    name = module.__name__
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Method)
        and value is not Method
        and (value.__module__ == name or value.__module__.startswith(name + "."))
    ]


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
            "lacks": [method["id"] for method in known if _lacks(method["id"], model)],
        }
        for model in models
    ]
    return {"digest": digest(canonical(known)), "methods": known, "models": described}


def _lacks(method: str, model: ModelEntry) -> bool:
    known = registry().get(method)
    return known is not None and lacking(known, model) is not None
