"""The layer that a result was made from: marked when the result is made, and found again by its mark.

The mark is a parasite, so it is saved with the image, copied with the layer, and undone with the result.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence

from gi.repository import Gimp

from velatura_protocol.crops import is_of
from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest
from velatura_protocol.rasters import Raster
from velatura_protocol.requests import Recipe
from velatura_protocol.sights import LAYER

from . import recipe
from .capture import at_once, capture_whole, image_encoding
from .evidence import Candidate, decide, named
from .sight import Sight

PARASITE = "velatura-source"


class Doubt(VelaturaError):
    """The source of a result is uncertain. layers: the possible ones, if any."""

    def __init__(self, layers: Sequence[Gimp.Layer]) -> None:
        self.layers = list(layers)
        if layers:
            names = named([layer.get_name() for layer in layers])
            sentence = f"This result may have been made from {names}"
        else:
            sentence = "The layer that this result was made from is gone"
        way = "choose Run Again from the menu, or name a layer as “source” in a script"
        super().__init__("bad-request", f"{sentence}; {way}.")


class Mark:
    """The mark of a source; a deleted layer has none, nor has the visible picture. sees: see `sight.Sight`.
    own: its record in the recipes of its results.
    """

    def __init__(self, source: Gimp.Layer, sees: str = LAYER) -> None:
        self._source = source if sees == LAYER and source.is_valid() else None
        self._marks = _marks(source) if self._source else []
        tattoo = self._source.get_tattoo() if self._source else 0
        # The mark of another number came with the copying: it is that of the layer this one is a copy of.
        own = next((mark for mark in reversed(self._marks) if mark["tattoo"] == tattoo), None)
        self._is_new = self._source is not None and own is None
        if self._is_new:
            own = {"mark": str(uuid.uuid4()), "tattoo": tattoo}
            self._marks.append(own)
        self.own = {"source": tattoo, "mark": own["mark"] if own else "", "sees": sees}

    def attach(self) -> None:
        """Marks the source, if it is not marked yet; to be called in the undo group of its result."""
        if self._is_new:
            flags = Gimp.PARASITE_PERSISTENT | Gimp.PARASITE_UNDOABLE
            data = json.dumps(self._marks).encode("ascii")
            self._source.attach_parasite(Gimp.Parasite.new(PARASITE, flags, data))


def attach_recipe(result: Gimp.Item, made: Mapping, mark: Mark) -> None:
    """Attaches its recipe to a result. made: the recipe as the daemon gave it."""
    data = recipe.to_parasite(made, {**mark.own, "result": result.get_tattoo()})
    flags = Gimp.PARASITE_PERSISTENT | Gimp.PARASITE_UNDOABLE
    result.attach_parasite(Gimp.Parasite.new(recipe.PARASITE, flags, data))


def has_recipe(item: Gimp.Item) -> bool:
    """Whether an item is a result."""
    return (item.is_layer() or item.is_channel()) and item.get_parasite(recipe.PARASITE) is not None


def source_of(image: Gimp.Image, result: Gimp.Item, kept: Recipe) -> Gimp.Layer:
    """The source layer of a result. Raises `Doubt` where it is uncertain."""
    own = recipe.origin(kept)
    candidates = [_candidate(image, layer, kept, own) for layer in others(image, result)]
    source, doubtful = decide(candidates, is_home=own["result"] == result.get_tattoo())
    if source is None:
        raise Doubt(doubtful)
    return source


def others(image: Gimp.Image, result: Gimp.Item) -> list[Gimp.Layer]:
    """All layers of the image but the result, from top to bottom, those in groups too."""
    return [layer for layer in every_layer(image) if layer.get_id() != result.get_id()]


def every_layer(image: Gimp.Image) -> list[Gimp.Layer]:
    """All layers of an image from top to bottom, those in groups too."""
    return _every(image.get_layers())


def _every(layers: Sequence[Gimp.Layer]) -> list[Gimp.Layer]:
    found: list[Gimp.Layer] = []
    for layer in layers:
        found += [layer, *_every(layer.get_children() if layer.is_group() else [])]
    return found


def _candidate(image: Gimp.Image, layer: Gimp.Layer, kept: Recipe, own: dict) -> Candidate:
    return Candidate(
        layer,
        is_marked=bool(own["mark"]) and any(mark["mark"] == own["mark"] for mark in _marks(layer)),
        has_number=layer.get_tattoo() == own["source"],
        is_alike=lambda: _is_alike(image, layer, kept.request.inputs["source"]),
    )


def _is_alike(image: Gimp.Image, layer: Gimp.Layer, raster: Raster) -> bool:
    """Whether the layer has exactly the pixels that the raster was read from, in any place."""
    code = image_encoding(image)
    size = (layer.get_width(), layer.get_height())
    same = (raster.layer_rect[2:], raster.channels, raster.dtype, raster.profile, raster.icc)
    if same != (size, code.channels, code.dtype, code.profile, digest(code.icc) if code.icc else ""):
        return False
    return is_of(raster, at_once(capture_whole(Sight(image, layer))).inputs["source"])


def _marks(layer: Gimp.Layer) -> list[dict]:
    """The marks of a layer; none where they cannot be read."""
    parasite = layer.get_parasite(PARASITE)
    try:
        found = json.loads(bytes(parasite.get_data()).decode("ascii")) if parasite else []
    except (ValueError, RecursionError):
        return []
    return [mark for mark in found if _is_mark(mark)] if isinstance(found, list) else []


def _is_mark(value: object) -> bool:
    return isinstance(value, dict) and type(value.get("mark")) is str and type(value.get("tattoo")) is int
