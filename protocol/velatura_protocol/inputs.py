"""The rasters that a method takes (SPEC section 4, `rasters`), and a check of those that a request has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from .errors import VelaturaError
from .kinds import INPUT_NAME, RASTERS
from .rasters import Raster, touch
from .schema import Field

OWN = ("source", "mask")  #: hosts capture these two by themselves: the layer, and the selection on it
RASTERS_SINCE = 5  #: the protocol's MINOR from which a request may hold further ones
MAX_INPUTS = 128  #: rasters of one request
NEEDS = ("required", "optional")


@dataclass(frozen=True, slots=True)
class RasterInput:
    """A raster that a method takes.

    name: its key in a request's `inputs`. title, description: for the person. kind: a key of `kinds.RASTERS`.
    need: 'required' or 'optional'.
    """

    name: str
    title: str
    description: str
    kind: str = "picture"
    need: Literal["required", "optional"] = "required"

    def to_wire(self) -> dict[str, str]:
        """The object that `from_wire` reads."""
        return {
            "name": self.name,
            "title": self.title,
            "description": self.description,
            "kind": self.kind,
            "need": self.need,
        }

    @classmethod
    def from_wire(cls, value: object) -> RasterInput | None:
        """Reads a raster of a method; None for one of a kind or a need that this version does not know."""
        if not isinstance(value, dict):
            return None
        name, title, description, kind, need = map(
            value.get, ("name", "title", "description", "kind", "need")
        )
        if not (isinstance(name, str) and INPUT_NAME.match(name)):
            return None
        if not (isinstance(kind, str) and kind in RASTERS and need in NEEDS):
            return None
        title = title if isinstance(title, str) and title else name
        return cls(name, title, description if isinstance(description, str) else "", kind, need)

    @property
    def takes_selection(self) -> bool:
        """Whether a selection serves as well as a layer."""
        return not RASTERS[self.kind].colours


def rasters_of(method: Mapping[str, Any]) -> list[RasterInput]:
    """The further rasters of a method as the daemon describes it: all but the source and the mask."""
    listed = method.get("rasters")
    known = map(RasterInput.from_wire, listed if isinstance(listed, list) else ())
    return [raster for raster in known if raster is not None and raster.name not in OWN]


def given_in_groups(
    fields: Iterable[Field], parameters: Mapping[str, Any]
) -> list[tuple[RasterInput, str | None]]:
    """The rasters of the entries of groups: what each is for, and the name of the input that it is, or None.

    The title names the entry: "Concepts 2, Where". parameters: complete.
    """
    return [
        (
            RasterInput(
                entry_name(group.key, number, inner.key),
                f"{group.title} {number}, {inner.title}",
                inner.description,
                inner.raster,
                "optional",
            ),
            entry.get(inner.key),
        )
        for group in fields
        for number, entry in enumerate(parameters.get(group.key, ()) if group.fields else (), 1)
        for inner in group.fields
        if inner.raster
    ]


def entry_name(group: str, number: int, key: str) -> str:
    """The name of the input that is this field of a group's entry, counted from 1."""
    return f"{group}.{number}.{key}".lower()


def kinds_of(
    rasters: Sequence[RasterInput], fields: Iterable[Field], parameters: Mapping[str, Any]
) -> dict[str, RasterInput]:
    """What each further input of a request is for, by its name.

    Raises `bad-request` where an entry of a group names an input that is of another kind.
    """
    known = {raster.name: raster for raster in rasters}
    for raster, name in given_in_groups(fields, parameters):
        if name is not None and known.setdefault(name, raster).kind != raster.kind:
            sentence = f"{raster.title} cannot be the same as {known[name].title}; choose another layer."
            raise VelaturaError("bad-request", sentence)
    return known


def check_inputs(
    title: str,
    rasters: Sequence[RasterInput],
    fields: Sequence[Field],
    parameters: Mapping[str, Any],
    inputs: Mapping[str, Raster | None],
) -> dict[str, Raster]:
    """The further rasters that are given, by name, each fit for what the method wants it for.

    Args:
        title: the method's.
        rasters: the further ones that it takes.
        fields: its parameters.
        parameters: the request's, complete.
        inputs: the request's, with source and mask.

    Raises `bad-request` for one that is missing, not wanted, or of another kind; `too-large` for too many;
    `bad-layer` for one without the colours that are wanted; `mask-outside` for one beside the layer.
    """
    given = {name: raster for name, raster in inputs.items() if raster is not None and name not in OWN}
    if len(given) > MAX_INPUTS:
        sentence = f"{len(given)} pictures are too many for one edit; use at most {MAX_INPUTS}."
        raise VelaturaError("too-large", sentence)
    known = kinds_of(rasters, fields, parameters)
    for raster in rasters:
        if raster.need == "required" and raster.name not in given:
            where = "a layer or the selection" if raster.takes_selection else "a layer"
            raise VelaturaError("bad-request", f"{title} needs “{raster.title}”; choose {where} for it.")
    for wanted, name in given_in_groups(fields, parameters):
        if name is not None and name not in given:
            sentence = f"{wanted.title} is missing; choose a layer or the selection for it again."
            raise VelaturaError("bad-request", sentence, detail=name)
    source = inputs["source"]
    for name, raster in given.items():
        if name not in known or not INPUT_NAME.match(name):
            raise VelaturaError("bad-request", f"{title} takes no picture {name!r:.90}; leave it out.")
        _check(known[name], raster, source)
    return given


def _check(wanted: RasterInput, raster: Raster, source: Raster | None) -> None:
    kind = RASTERS[wanted.kind]
    if kind.colours and raster.channels == "A":
        raise VelaturaError("bad-layer", f"{wanted.title} needs colours; choose a layer with paint for it.")
    if kind.in_place and source is not None and not touch(source.rect, raster.rect):
        sentence = f"{wanted.title} does not touch the layer that is edited; choose another one."
        raise VelaturaError("mask-outside", sentence)
