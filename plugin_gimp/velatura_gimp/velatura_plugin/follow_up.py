"""Further runs from a result of the history: the same again, or others that lie close to it."""

from __future__ import annotations

from gi.repository import Gimp

from velatura_protocol.catalogue import MethodInfo
from velatura_protocol.errors import VelaturaError
from velatura_protocol.history_entries import Entry
from velatura_protocol.requests import Edit, Recipe

from . import rerun
from .capture import Capture, Steps, capture
from .sight import Sight

MORE = 4  # variations of “more like this”
NO_MORE = "“{}” makes nothing that lies close to a result; choose another result."


def recipe_of(entry: Entry) -> Recipe:
    """A result's own recipe. Raises VelaturaError."""
    return Recipe.from_wire(entry.recipe).of_layer()


def more_like(kept: Recipe, method: MethodInfo) -> dict:
    """The changes to a recipe that make others like its result. Raises `bad-request` where the method has no
    such runs."""
    group = method.around
    if group is None:
        raise VelaturaError("bad-request", NO_MORE.format(method.title))
    distance = next(part.default for part in group.fields if part.key == "distance")
    wanted = kept.more_like(group, distance, variations=min(MORE, method.max_variations))
    own = {group.key: wanted.parameters[group.key]}
    return {"seed": wanted.seed, "variations": wanted.variations, "parameters": own}


def run_of(image: Gimp.Image, sight: Sight, kept: Recipe, changes: dict) -> tuple[Edit, Steps[Capture]]:
    """The request of a recipe with some changes, and the capture of what the model sees now. Raises
    VelaturaError."""
    run = rerun.Again(image, kept, lambda: capture(sight))
    return run.request(changes), run.read(changes)
