"""The group "Adapters" of every method that uses a diffusion model. Imports no torch.

The daemon fills in which adapters there are; where there are none, clients get no such group.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import Field, create_model

from velatura.models.adapters.listing import MOST_WORN, AdapterFile, Worn
from velatura.models.catalogue import ModelEntry
from velatura.models.recognition import FAMILIES
from velatura_protocol.errors import VelaturaError

from . import around
from .parameters import Parameters

KEY = "adapters"
"""The group's key in the parameters of a method."""

NOTHING = "(choose an adapter)"


class AdapterSettings(Parameters):
    """An entry of `KEY`. file: `AdapterFile.value`, or '' for none yet."""

    file: str = Field(
        "",
        max_length=160,
        title="Adapter",
        description="A file that teaches the model a style or a thing (LoRA), or makes it a slider.",
    )
    strength: float = Field(
        100.0,
        ge=-200.0,
        le=200.0,
        title="How much",
        description="In per cent of its own strength; below 0 it leads the other way, at 0 it does nothing.",
        json_schema_extra={"multipleOf": 5.0},
    )


class Wanted(NamedTuple):
    """An adapter to be worn. strength: 1 as it was trained; negative for the other way."""

    file: AdapterFile
    strength: float


def with_adapters(parameters: type[Parameters]) -> type[Parameters]:
    """The class of parameters with the group. Raises TypeError if it has another field of that key."""
    if KEY in parameters.model_fields:
        if parameters.model_fields[KEY].annotation != list[AdapterSettings]:
            raise TypeError(f"{parameters.__name__}.{KEY} is the group of adapters, which every method gets")
        return parameters
    group = Field(
        [],
        max_length=MOST_WORN,
        title="Adapters",
        description="Files that change the model for this edit alone; several add up.",
        json_schema_extra={"x-order": 95, "x-advanced": True},
    )
    fields: dict[str, Any] = {KEY: (list[AdapterSettings], group)}
    made = create_model(parameters.__name__, __base__=parameters, __module__=parameters.__module__, **fields)
    made.__doc__ = parameters.__doc__
    return made


def filled(methods: Iterable[dict[str, Any]], adapters: Sequence[AdapterFile]) -> list[dict[str, Any]]:
    """Methods as the protocol describes them, with the adapters as choices; without adapters, without the
    group."""
    return [
        {**method, "parameters": _form(method["parameters"], adapters)}
        if KEY in method["parameters"]["properties"]
        else method
        for method in methods
    ]


def suiting(adapters: Sequence[AdapterFile], models: Sequence[ModelEntry]) -> list[AdapterFile]:
    """The adapters that were made for the family of one of the models."""
    families = {model.found.family for model in models if model.found and not model.fault}
    return [one for one in adapters if one.family in families]


def without_empty(values: dict[str, Any]) -> dict[str, Any]:
    """Parameters without the empty groups that every method gets: their recipe is one of a daemon that does
    not know them."""
    return {key: value for key, value in values.items() if key not in (KEY, around.KEY) or value != []}


def wanted(params: Parameters, model: ModelEntry, adapters: Sequence[AdapterFile]) -> list[Wanted]:
    """The adapters that parameters name, without those at 0.

    Raises:
        VelaturaError: `bad-request` for one that is not there, or whose file has changed;
            `unknown-model` for one of another family than the model's.
    """
    chosen: list[Wanted] = []
    for one in getattr(params, KEY, []):
        id, _, title = one.file.partition(":")
        if not id:
            continue
        file = next((file for file in adapters if file.id == id), None)
        if file is None:
            raise VelaturaError(
                "bad-request",
                f"The adapter {title or id!r} is not on this computer, or its file has changed; put the file "
                "back and run `velatura models find`, or leave it out.",
            )
        family = model.found.family if model.found else ""
        if file.family != family:
            raise VelaturaError(
                "unknown-model",
                f"The adapter {file.title!r} is for {FAMILIES[file.family].title}, and {model.title!r} is"
                f" {FAMILIES[family].title if family else 'another model'}; choose a model that it suits.",
            )
        if one.strength:
            chosen.append(Wanted(file, one.strength / 100.0))
    return chosen


def named(worn: Sequence[Worn]) -> dict[str, Any]:
    """The adapters that a run wore, for its recipe; nothing without any."""
    listed = [{"title": one.title, "digest": one.digest, "strength": one.strength} for one in worn]
    return {"adapters": listed} if listed else {}


def remarks_on(worn: Sequence[Worn]) -> list[str]:
    """Sentences for the person on adapters that the model could not use whole."""
    return [
        f"Parts of the adapter {one.title!r} are for layers that this model lacks, and were left out."
        for one in worn
        if one.unread
    ]


def _form(form: Mapping[str, Any], adapters: Sequence[AdapterFile]) -> dict[str, Any]:
    properties = dict(form["properties"])
    group = properties.pop(KEY)
    if not adapters:
        return {**form, "properties": properties}
    several = len({one.family for one in adapters}) > 1
    titles = [f"{one.title} ({FAMILIES[one.family].title})" if several else one.title for one in adapters]
    inner = dict(group["items"]["properties"])
    plain = {key: value for key, value in inner["file"].items() if key != "maxLength"}
    choices = {"enum": ["", *(one.value for one in adapters)], "x-enum-titles": [NOTHING, *titles]}
    inner["file"] = plain | choices
    properties[KEY] = {**group, "items": {**group["items"], "properties": inner}}
    return {**form, "properties": properties}
