"""From a result to layers: a group above the source layer, in one undo step.

Setting pixels is not undoable, and each child added to a group makes an undo step of its own.  So the group
is built in a small document that nobody sees, and its clone is added to the person's document, whole.  The
small document is of the result's size, since Krita composes a group only within its document; the clone is
then moved to the result's place.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from . import recipes
from .capture import CHANNELS, DTYPES
from .copies import evidence_of
from .covers import hide
from .journal import Entry
from .places import find
from .placing import Place, settled, state_of
from .qt import QtCore
from .rest import Closed, Tell, idle, unheard
from .results import overlapping, place_above, results_in
from .stand_in import NOTE, is_needed, stand_in
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.evidence import Evidence
from .velatura_protocol.placement import Placement
from .velatura_protocol.rasters import Raster, Rect
from .velatura_protocol.sights import LAYER, VISIBLE

log = logging.getLogger("velatura.krita")

#: Hides layers of a document under a new one: (document, new layer, layers to hide).
Cover = Callable[[Any, Any, Sequence[Any]], None]
MODELS = {channels: model for (model, _is_float), channels in CHANNELS.items()}
DEPTHS = {dtype: depth for depth, dtype in DTYPES.items()}
BAND = 1 << 22  #: bytes that are written into a layer in one turn
SRGB = "sRGB-elle-V2-srgbtrc.icc"
RESOLUTION, FILTER = 72, "Bicubic"  #: of the scaling, as Krita's own for pictures
SIDE = 16  #: pixels of the small document when it is made, before it gets the result's size


@dataclass(frozen=True)
class Layer:
    """One result layer: its description on the wire and its bytes."""

    title: str
    raster: Raster
    recipe: dict
    data: bytes | bytearray | memoryview


def hide_only(document: Any, _group: Any, hidden: Sequence[Any]) -> None:
    """A `Cover` that does not follow undo."""
    hide(document, hidden)


def insert(
    host: Any,
    entry: Entry,
    title: str,
    layers: Sequence[Layer],
    tell: Tell = unheard,
    cover: Cover = hide_only,
    note: Tell = unheard,
) -> Generator[int, None, str | None]:
    """Insert the layers of a job where `entry` says, each piece in a turn of its own; see `steps.Steps`.

    They go where the source is now, if the picture was cropped, scaled or turned, or the layer was moved.

    The first lies on top and is the only visible one; `cover` hides earlier results of the same source in the
    same place. tell: see `rest.idle`. note: called with a sentence on their place, or ''. Returns the name of
    the layer or document they went above; None if no open document is theirs.  A job that was inserted before
    is not inserted again.  Raises VelaturaError.
    """
    check_whole(layers)
    while True:
        place = yield from settled(host, entry, tell)
        if place is None:
            return None
        outcome = yield from _insert_at(host, entry, title, layers, place, tell, cover)
        if outcome is not place:  # else the picture was changed once more meanwhile
            if outcome is not None:
                is_hidden = stands_in(entry, place.node)
                note(" ".join(filter(None, (place.note, NOTE.format(outcome) if is_hidden else ""))))
            return outcome


def _insert_at(
    host: Any,
    entry: Entry,
    title: str,
    layers: Sequence[Layer],
    place: Place,
    tell: Tell,
    cover: Cover,
) -> Generator[int, None, str | Place | None]:
    """Builds the group and adds it; `place` itself if that is no longer right."""
    placement = place.placement
    layers = [turned(layer, placement) for layer in layers]
    left, top, width, height = around([layer.raster.rect for layer in layers])
    workshop = open_workshop(host, layers[0].raster)
    try:
        workshop.setBatchmode(True)
        yield 0
        workshop.resizeImage(0, 0, width, height)
        yield from idle(workshop)
        group = workshop.createGroupLayer(title)
        workshop.rootNode().addChildNode(group, None)
        below = None
        for number, layer in reversed(list(enumerate(layers))):
            node = workshop.createNode(layer.title, "paintlayer")
            node.setVisible(number == 0)
            yield from fill(node, layer, left, top)
            group.addChildNode(node, below)
            below = node
            yield 0
        yield from idle(workshop)
        box = scaled_rect(placement, (left, top, width, height))
        if placement.is_scaled:
            workshop.scaleImage(*box[2:], RESOLUTION, RESOLUTION, FILTER)
            yield from idle(workshop)
        for node in (group, *group.childNodes()):
            node.move(*box[:2])
        if stands_in(entry, place.node):
            group = yield from stand_in(workshop, group, place.node)
        clone = group.clone()
        proofs = []
        for node in clone.childNodes()[::-1][: len(layers)]:
            proofs.append((yield from evidence_of(node)))  # noqa: PERF401 - no `yield` in a comprehension
        try:
            yield from idle(place.document, tell, released=True)
        except Closed:
            return None
        now = find(host, entry)
        if now is not None and state_of(*now) != place.state:
            return place
        outcome = yield from put(host, entry, clone, layers, box, proofs, cover)
        yield 0  # to close the small document takes Krita long enough
        return outcome
    finally:
        workshop.setModified(False)
        workshop.close()


def check_whole(layers: Sequence[Layer]) -> None:
    """Raises `blob-corrupt` unless each layer has the bytes that its description says."""
    for layer in layers:
        if memoryview(layer.data).nbytes != layer.raster.nbytes:
            raise VelaturaError("blob-corrupt", "The result came damaged; run the edit again.")


def stands_in(entry: Entry, node: Any | None) -> bool:
    """Whether the result takes the place of its source."""
    return entry.sees == LAYER and is_needed(node)


def turned(layer: Layer, placement: Placement) -> Layer:
    """The layer as the picture was mirrored and turned, at its place before scaling and shift."""
    if not placement.is_turned:
        return layer
    raster = layer.raster
    _, _, width, height = raster.rect
    rect = placement.turned(raster.rect)
    data = placement.oriented(layer.data, width, height, raster.nbytes // (width * height))
    return replace(layer, raster=replace(raster, rect=rect, width=rect[2], height=rect[3]), data=data)


def scaled_rect(placement: Placement, rect: Rect) -> Rect:
    """The present place of a rectangle that was turned already."""
    return replace(placement, is_mirrored=False, turns=0).rect(rect)


def put(
    host: Any,
    entry: Entry,
    group: Any,
    layers: Sequence[Layer],
    rect: Rect,
    proofs: Sequence[Evidence | None],
    cover: Cover,
) -> Generator[int, None, str | None]:
    """Add the finished group and bind its layers to their recipes, all in one turn.

    rect: that the group covers. proofs: the evidence of each layer.
    """
    place = find(host, entry)
    if place is None:
        return None
    document, node = place
    name = node.name() if node is not None else document.name()
    if recipes.inserted(document, entry.job):
        return name
    active = document.activeNode()
    if entry.sees == VISIBLE:  # it holds all that shows, so nothing may lie above it
        parent, above = document.rootNode(), None
    else:
        parent = node.parentNode() if node is not None else document.rootNode()
        above = place_above(parent, node, results_in(document, parent, entry.node))
    below = overlapping(document, parent, entry.node, QtCore.QRect(*rect))
    if stands_in(entry, node) and node.visible():
        below.append(node)
    if not parent.addChildNode(group, above):
        raise VelaturaError("internal", f"Krita did not take it above '{name}'.")
    try:
        variations = group.childNodes()[::-1][: len(layers)]  # a copy of the source may lie beneath
        for child, layer, proof in zip(variations, layers, proofs, strict=True):
            recipe = recipes.Recipe(layer.recipe, entry.node, evidence=proof, sees=entry.sees)
            recipes.bind(document, child, recipe)
        cover(document, group, below)
    except Exception:  # it is in the picture: to fail now would bring it there a second time
        log.exception("after an insertion")
    yield 0  # Krita makes the new group active in its own time
    if active is not None:
        document.setActiveNode(active)
    yield 0
    return name


def open_workshop(host: Any, raster: Raster) -> Any:
    """A small document of the result's colour space."""
    return open_picture(host, raster, SIDE, SIDE, "Velatura")


def open_picture(host: Any, raster: Raster, width: int, height: int, name: str) -> Any:
    """A new document of the result's colour space, without a view; a mask's is sRGB."""
    model, depth = MODELS.get(raster.channels, "RGBA"), DEPTHS[raster.dtype]
    profile = raster.profile or SRGB
    document = host.createDocument(width, height, name, model, depth, profile, float(RESOLUTION))
    if document is None:
        raise VelaturaError(
            "internal", "Krita could not make room for it; save your work and close a picture."
        )
    return document


def fill(node: Any, layer: Layer, left: int, top: int) -> Generator[int, None, None]:
    """Write a result into a layer that lies at `left`, `top` of the person's document, band by band."""
    x, y, width, height = layer.raster.rect
    view = memoryview(layer.data).cast("B")
    stride = layer.raster.nbytes // height
    rows = max(1, BAND // stride)
    for first in range(0, height, rows):
        count = min(rows, height - first)
        band = bytes(view[first * stride : (first + count) * stride])
        node.setPixelData(band, x - left, y - top + first, width, count)
        yield 0


def around(rects: Sequence[Sequence[int]]) -> tuple[int, int, int, int]:
    """The smallest rectangle that holds all of them."""
    left, top = min(r[0] for r in rects), min(r[1] for r in rects)
    right, bottom = max(r[0] + r[2] for r in rects), max(r[1] + r[3] for r in rects)
    return left, top, right - left, bottom - top
