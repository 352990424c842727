"""The parasite that keeps the recipe (SPEC section 5) on a result."""

from __future__ import annotations

import json
from collections.abc import Mapping

from velatura_protocol.errors import VelaturaError
from velatura_protocol.requests import DAMAGED, Recipe

PARASITE = "velatura"


def to_parasite(recipe: Mapping, origin: Mapping) -> bytes:
    """The parasite's data: ASCII, because GIMP hands it out as signed bytes. origin: see `origin`."""
    return json.dumps({**recipe, "gimp": dict(origin)}).encode("ascii")


def from_parasite(data: bytes) -> Recipe:
    """Reads a parasite. Raises `bad-request` if it is no recipe that can be run."""
    try:
        value = json.loads(data.decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise VelaturaError("bad-request", DAMAGED, detail=str(error)) from None
    return Recipe.from_wire(value)


def origin(recipe: Recipe) -> dict:
    """The plug-in's record of the parasite's origin; 0 or empty where it is missing.

    source, result: the tattoos of the source layer and of the result itself, in the image of then. mark: the
    source's. sees: see `sight.Sight`.
    """
    own = recipe.written.get("gimp")
    own = own if isinstance(own, dict) else {}
    unknown = {"source": 0, "result": 0, "mark": "", "sees": ""}
    return {key: own[key] if type(own.get(key)) is type(none) else none for key, none in unknown.items()}
