"""All methods: those of this package, and those that other packages offer. Imports no torch.

A package offers methods by an entry point of the group `velatura.methods`, whose value is a `Method` class or
a module with several. A method that cannot be imported, that no client could read, or whose id is taken, is
left out; the others are available.
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.metadata import EntryPoint
from types import MappingProxyType, ModuleType
from typing import Any, NamedTuple

from velatura import methods as package
from velatura.extensions.offers import Refused, offers, refuse
from velatura.generators import kinds
from velatura.models.adapters.listing import AdapterFile
from velatura.models.catalogue import ModelEntry
from velatura.models.control.listing import GuideFile
from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.errors import VelaturaError
from velatura_protocol.inputs import RASTERS_SINCE, rasters_of
from velatura_protocol.messages import MAX_JSON, canonical, digest
from velatura_protocol.schema import fields_from_schema, with_defaults

from . import adapting, controlling
from .base import Method, schema
from .checks import lacking
from .kinds import KINDS
from .sections import SECTIONS, SectionName, order, section_of
from .shelving import Choice, filled

GROUP = "velatura.methods"
_MARGIN = 16 * 1024  # bytes of the answer for defaults and for all that is neither method nor model
_NO_METHODS = {
    "adapting",
    "base",
    "checks",
    "clip_guided",
    "controlling",
    "declaring",
    "detailing",
    "differing",
    "evening",
    "execute",
    "facing",
    "fields",
    "flowing",
    "guiding",
    "inverting",
    "kinds",
    "latents_to_words",
    "led",
    "naming",
    "parameters",
    "progress",
    "reconstructing",
    "registry",
    "results",
    "room",
    "run",
    "sections",
    "shelving",
    "steering",
    "work",
}


class _Known(NamedTuple):
    methods: MappingProxyType[str, Method]
    refused: tuple[Refused, ...]


def registry() -> MappingProxyType[str, Method]:
    """Every method by its id, sorted by section, place and title.

    Raises TypeError if two of ours have one id.
    """
    return _known().methods


def refused() -> tuple[Refused, ...]:
    """The offers of other packages that are left out: methods, and the kinds of models that they need."""
    return (*_known().refused, *kinds.offered().refused)


@cache
def _known() -> _Known:
    known: dict[str, Method] = {}
    for module in pkgutil.iter_modules(package.__path__):
        if module.name not in _NO_METHODS:
            for cls in _methods_of(importlib.import_module(f"{package.__name__}.{module.name}")):
                if cls.id in known:
                    raise TypeError(
                        f"{cls.__name__} and {type(known[cls.id]).__name__} have one id, {cls.id!r}"
                    )
                known[cls.id] = cls()
    offered = offers(GROUP, _offered, "method")
    left_out = list(offered.refused)
    for offer in offered.loaded:
        for method in offer.value:
            if method.id in known:
                reason = f"there is another method of this name, {known[method.id].title!r}"
                left_out.append(refuse(f"The method {method.id!r}", offer.package, reason))
            else:
                known[method.id] = method
    ordered = sorted(known.values(), key=lambda m: (order(_section(m)), m.place, m.title))
    return _Known(MappingProxyType({method.id: method for method in ordered}), tuple(left_out))


def _section(method: Method) -> SectionName:
    return section_of(method.section, method.result)


def _offered(entry: EntryPoint) -> list[Method]:
    """The methods that an entry point names, at least one."""
    value = entry.load()
    classes = _methods_of(value) if inspect.ismodule(value) else [value]
    if not classes:
        raise TypeError(f"the module {entry.value} has no method")
    if not all(inspect.isclass(cls) and issubclass(cls, Method) and cls is not Method for cls in classes):
        raise TypeError(f"{entry.value} is no method")
    found = [cls() for cls in classes]
    for method in found:
        _check(method)
    return found


def _check(method: Method) -> None:
    """Raises TypeError for a method that a client could not read; it would then refuse the whole list."""
    if type(method.place) is not int:
        raise TypeError(f"the place of {method.id} is no whole number")
    described = describe(method)
    for name in ("title", "summary", "source"):
        if not isinstance(described[name], str):
            raise TypeError(f"the {name} of {method.id} is no text")
    try:
        read = MethodInfo.from_wire(json.loads(canonical(described)))
    except VelaturaError as error:
        raise TypeError(f"no client can read {error.detail or method.id}") from error
    if read is None:
        raise TypeError(f"no client can use {method.id}: it asks for an input of an unknown need or kind")


def _methods_of(module: ModuleType) -> list[type[Method]]:
    """The methods that a module defines, or, for a package, that it imports from modules within it.

    Methods imported from elsewhere do not count.
    """
    name = module.__name__
    return [
        value
        for value in vars(module).values()
        if inspect.isclass(value)
        and issubclass(value, Method)
        and value is not Method
        and (value.__module__ == name or value.__module__.startswith(name + "."))
    ]


def describe(method: Method) -> dict[str, Any]:
    """A method as the protocol describes it to clients (SPEC section 4, `methods`)."""
    return {
        "id": method.id,
        "version": method.version,
        "title": method.title,
        "summary": method.summary,
        "source": method.source,
        "section": SECTIONS[_section(method)],
        "inputs": {
            "source": method.inputs.source,
            "mask": method.inputs.mask,
            "prompt": method.inputs.prompt,
        },
        "rasters": [raster.to_wire() for raster in method.inputs.all_rasters()],
        "result": method.result,
        "max_variations": method.max_variations,
        "drafts": method.drafts,
        "from_nothing": method.from_nothing,
        "crops": _crops(method),
        "parameters": schema(method.Parameters),
    }


def _crops(method: Method) -> bool:
    """Whether a client may send a part of the layer: it must be able to tell when the selection is the part
    that stays, since all of the rest is then needed."""
    if method.inputs.mask == "none":
        return False
    is_told = any(field.rest for field in fields_from_schema(schema(method.Parameters)))
    return is_told or type(method).inverts is Method.inverts


def since(method: dict[str, Any]) -> int:
    """The protocol's MINOR from which clients can use a method. method: as `describe` returns it.

    An older client would take a mask for a picture, or could not send a required raster.
    """
    rasters = any(raster.need == "required" for raster in rasters_of(method))
    return max(KINDS[method["result"]].since, RASTERS_SINCE if rasters else 0)


def offer(
    methods: Iterable[dict[str, Any]],
    models: Sequence[ModelEntry],
    dials: Sequence[Choice] = (),
    adapters: Sequence[AdapterFile] = (),
    guides: Sequence[GuideFile] = (),
) -> dict[str, Any]:
    """The answer to `methods` (SPEC section 4), without `type`.

    The defaults of the first model, which is the default one, replace those of the methods that it can run.
    Each model has its own defaults, and the methods that it cannot run.

    Args:
        methods: as `describe` returns them.
        models: the default one first.
        dials: the kept dials of these models, which can be chosen in forms.
        adapters: those on this computer; forms offer those that suit one of the models, as far as they fit
            into a message.
        guides: those on this computer; forms offer those that suit one of the models.
    """
    with_dials = controlling.filled(filled(methods, dials), controlling.suiting(guides, models))
    described = [
        {
            "id": model.id,
            "title": model.title,
            "kind": model.kind,
            "size": model.size,
            **({} if model.is_size_known else {"size_known": False}),
            "defaults": model.defaults,
            "lacks": [method["id"] for method in with_dials if _lacks(method["id"], model)],
        }
        for model in models
    ]
    suiting = adapting.suiting(adapters, models)
    room = MAX_JSON - _MARGIN - len(canonical(with_dials)) - len(canonical(described))
    fitting = adapting.fitting(with_dials, suiting, room)
    with_choices = adapting.filled(with_dials, fitting, len(suiting) - len(fitting))
    known: list[dict[str, Any]] = [
        {**m, "parameters": with_defaults(m["parameters"], _defaults(m["id"], models), m["id"])}
        for m in with_choices
    ]
    return {"digest": digest(canonical(known)), "methods": known, "models": described}


def _defaults(method: str, models: Sequence[ModelEntry]) -> dict[str, float]:
    return {} if not models or _lacks(method, models[0]) else models[0].defaults


def _lacks(method: str, model: ModelEntry) -> bool:
    known = registry().get(method)
    return known is not None and lacking(known, model) is not None
