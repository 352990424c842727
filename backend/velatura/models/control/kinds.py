"""The kinds of maps by which a ControlNet leads a picture. Imports no torch."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Literal, NamedTuple

from .listing import GuideFile

KindName = Literal["edges", "lines", "scribble", "depth", "pose", "normals", "areas", "colours", "grey"]
Reader = Literal["edges", "lines", "depth", "colours", "grey"]


class MapKind(NamedTuple):
    """A kind of map.

    Args:
        title: for the person.
        words: a pattern of the words by which authors name such a ControlNet's file.
        reader: how such a map is read from a picture (`velatura.models.control.maps`); None where it cannot.
        is_drawn: whether it shows white lines on black.
        numbers: its numbers in the unions of a family: of xinsir's for Stable Diffusion XL (ControlNet++),
            and of those of InstantX and Shakker Labs for FLUX.1, as their model cards have them.
    """

    title: str
    words: str
    reader: Reader | None
    is_drawn: bool
    numbers: Mapping[str, int]


KINDS: Mapping[KindName, MapKind] = {
    "edges": MapKind("Edges", r"canny|edges?", "edges", True, {"sdxl": 3, "flux1": 0}),
    "scribble": MapKind(
        "Rough strokes",
        r"scribble|soft-?edge|hed|sketch|pidi(net)?",
        "lines",
        True,
        {"sdxl": 2, "flux1": 0},
    ),
    "lines": MapKind(
        "Drawn lines", r"line-?art(_?anime)?|lines?|anime|mlsd", "lines", True, {"sdxl": 3, "flux1": 0}
    ),
    "depth": MapKind("Depth", r"depth|midas|zoe", "depth", False, {"sdxl": 1, "flux1": 2}),
    "pose": MapKind("Pose", r"(open|dw)?-?pose", None, False, {"sdxl": 0, "flux1": 4}),
    "normals": MapKind("Surface directions", r"normal(bae)?s?", None, False, {"sdxl": 4}),
    "areas": MapKind("Areas by colour", r"seg(ment(ation)?)?", None, False, {"sdxl": 5}),
    "colours": MapKind("Colours and shapes", r"tile|blur", "colours", False, {"sdxl": 6, "flux1": 1}),
    "grey": MapKind("Light and dark", r"gr[ae]y|recolor|brightness", "grey", False, {"flux1": 5}),
}


def kind_of(title: str) -> KindName:
    """The kind that a ControlNet's name says; edges where it says none."""
    for name, kind in KINDS.items():
        if re.search(rf"(?<![a-z])({kind.words})(?![a-z])", title, re.IGNORECASE):
            return name
    return "edges"


def number(guide: GuideFile, kind: KindName) -> int | None:
    """The number of a kind in a union; -1 for a ControlNet that takes none; None for a kind that the union
    does not take."""
    if not guide.kinds:
        return -1
    found = KINDS[kind].numbers.get(guide.family)
    return found if found is not None and found < guide.kinds else None
