"""The rasters that a method takes (SPEC section 4, `rasters`), and the check of a request's rasters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from .errors import VelaturaError
from .kinds import INPUT_NAME, RASTERS
from .rasters import Raster, touch
from .reading import as_list, as_object, text_of
from .schema import Field

OWN = ("source", "mask")  #: hosts capture these two by themselves: the layer, and the selection on it
RASTERS_SINCE = 5  #: the protocol's MINOR from which a request may hold further ones
MAX_INPUTS = 128  #: rasters of one request
Need = Literal["required", "optional"]


@dataclass(frozen=True, slots=True)
class RasterInput:
    """A raster that a method takes.

    Attributes:
        name: its key in a request's `inputs`.
        title: for the person.
        description: for the person.
        kind: a key of `kinds.RASTERS`.
        need: whether a request has to have it.
    """

    name: str
    title: str
    description: str
    kind: str = "picture"
    need: Need = "required"

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
        """Reads a raster of a method; None for a kind or a need that this version does not know."""
        d = as_object(value) or {}
        name, kind = text_of(d, "name"), text_of(d, "kind")
        need: Need | None = next((need for need in get_args(Need) if need == d.get("need")), None)
        if not INPUT_NAME.match(name) or kind not in RASTERS or need is None:
            return None
        return cls(name, text_of(d, "title") or name, text_of(d, "description"), kind, need)

    @property
    def takes_selection(self) -> bool:
        """Whether a selection serves as well as a layer."""
        return not RASTERS[self.kind].colours


def rasters_of(method: Mapping[str, Any]) -> list[RasterInput]:
    """The further rasters of a method as the daemon describes it: all but the source and the mask."""
    known = map(RasterInput.from_wire, as_list(method.get("rasters")) or ())
    return [raster for raster in known if raster is not None and raster.name not in OWN]


def given_in_groups(
    fields: Iterable[Field], parameters: Mapping[str, Any]
) -> list[tuple[RasterInput, str | None]]:
    """The rasters of the groups' entries, each with the name of its input, or None.

    Its title names the entry: "Concepts 2, Where". parameters: complete.
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
    """The name of the input for this field of a group's entry; entries count from 1."""
    return f"{group}.{number}.{key}".lower()


def kinds_of(
    rasters: Sequence[RasterInput], fields: Iterable[Field], parameters: Mapping[str, Any]
) -> dict[str, RasterInput]:
    """The raster that each further input of a request stands for, by the input's name.

    Raises `bad-request` where a group's entry names an input of another kind.
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
    """The further rasters of a request by name, each fit for its use in the method.

    Args:
        title: the method's.
        rasters: the further ones that the method takes.
        fields: its parameters.
        parameters: the request's, complete.
        inputs: the request's, with source and mask.

    Raises `bad-request` for one that is missing, unknown or of another kind; `too-large` for too many;
    `bad-layer` for one that lacks colours; `mask-outside` for one that does not touch the layer.
    """
    given = {name: raster for name, raster in inputs.items() if raster is not None and name not in OWN}
    if len(given) > MAX_INPUTS:
        sentence = f"{len(given)} pictures are too many for one edit; use at most {MAX_INPUTS}."
        raise VelaturaError("too-large", sentence)
    known = kinds_of(rasters, fields, parameters)
    for raster in rasters:
        if raster.need == "required" and raster.name not in given:
            where = "a layer or the selection" if raster.takes_selection else "a layer"
            raise VelaturaError("bad-request", f"“{title}” needs “{raster.title}”; choose {where} for it.")
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
    if kind.in_place and source is not None and not touch(source.layer_rect, raster.rect):
        sentence = f"{wanted.title} does not touch the layer that is edited; choose another one."
        raise VelaturaError("mask-outside", sentence)
