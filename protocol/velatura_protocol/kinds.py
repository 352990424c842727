"""The kinds of a method's result, and of the rasters that it takes (SPEC section 4).

Hosts, the command line and the daemon read these tables; a further kind is one more entry here and, in the
daemon, one more class of `velatura.methods.kinds`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

INPUT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,79}\Z")  #: of a raster, among the inputs of a request


class ResultKind(NamedTuple):
    """How a host treats the result of a method.

    Attributes:
        insert: 'layers', pictures laid over the source, the best on top; 'selections', each to be made a
            selection or a mask, none shown as a picture; 'texts', lines offered at a text field.
        chosen: whether an artist chooses such a method from the list.
        is_edit: whether it changes the picture, so that its layers carry a recipe to be run again.
        noun: the word for one of its results, for the person.
        gives: the words for all of its results, for the person.
    """

    insert: Literal["layers", "selections", "texts"]
    chosen: bool
    is_edit: bool
    noun: str
    gives: str


RESULTS: dict[str, ResultKind] = {
    "layer": ResultKind("layers", True, True, "variation", "a new layer for each variation"),
    "mask": ResultKind("selections", True, False, "mask", "a selection for each thing it finds"),
    "text": ResultKind("texts", False, False, "text", "words, the likeliest first"),
}


def insertion(result: Mapping[str, Any]) -> str:
    """How a host treats the result of a job: see `ResultKind.insert`. Only layers that are no picture name
    their kind."""
    if "texts" in result:
        return "texts"
    kinds = {layer.get("kind", "layer") for layer in result["layers"]}
    return next((RESULTS[kind].insert for kind in kinds if kind in RESULTS), "layers")


class RasterKind(NamedTuple):
    """The use of a raster of this kind.

    colours: whether it needs colours; else a selection serves too. in_place: whether it lies on the source,
    pixel over pixel; else it is a picture of its own, anywhere in the document.
    """

    colours: bool
    in_place: bool


RASTERS: dict[str, RasterKind] = {
    "picture": RasterKind(colours=True, in_place=True),
    "mask": RasterKind(colours=False, in_place=True),
    "labels": RasterKind(colours=True, in_place=True),
    "reference": RasterKind(colours=True, in_place=False),
}
