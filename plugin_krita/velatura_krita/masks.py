"""From masks to selections; DESIGN.md gives the reasons. No pixel of a layer changes.

One mask becomes a selection mask of the source layer and is selected, each in an undo step of its own;
several become selection masks in a group above it, in one step.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from krita import Selection

from . import recipes
from .insert import BAND, SIDE, Layer, check_whole, scaled_rect, turned
from .journal import Entry
from .places import find, is_shown
from .placing import settled
from .qt import QtCore, QtGui
from .rest import Closed, Tell, idle, unheard
from .results import place_above, results_in
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.placement import Placement


def deliver(
    host: Any, entry: Entry, title: str, layers: Sequence[Layer], tell: Tell = unheard
) -> Generator[int, None, str | None]:
    """Inserts the masks of a job at the place in `entry`, each piece in a turn of its own; see `steps.Steps`.

    tell: see `rest.idle`. Returns a sentence for the person; None if their document is not open.  Raises
    VelaturaError.
    """
    check_whole(layers)
    where = yield from settled(host, entry, tell)
    if where is None:
        return None
    shaped = []
    for layer in (moved(layer, where.placement) for layer in layers):
        selection = yield from shape(layer)
        if selection is not None:
            shaped.append((layer, selection))
    place = find(host, entry)
    if place is None:
        return None
    document, node = place
    if recipes.inserted(document, entry.job):
        return f"The masks are in '{document.name()}'."
    if not shaped:
        return f"Nothing of it was found: {', '.join(layer.title for layer in layers)}."
    try:
        yield from idle(document, tell, released=True)
        if len(shaped) == 1 and node is not None:
            return noted((yield from put_one(host, entry, *shaped[0], tell)), where.note)
        group = yield from gather(host, document, title, shaped)
        yield from idle(document, tell, released=True)
    except Closed:
        return None
    return noted(put_group(host, entry, group, shaped), where.note)


def noted(sentence: str | None, note: str) -> str | None:
    """A sentence with another one behind it."""
    return f"{sentence} {note}".strip() if sentence is not None else None


def moved(layer: Layer, placement: Placement) -> Layer:
    """The mask where the picture has it now."""
    layer = turned(layer, placement)
    _, _, width, height = layer.raster.rect
    rect, data = scaled_rect(placement, layer.raster.rect), layer.data
    if placement.is_scaled:
        image = QtGui.QImage(bytes(data), width, height, width, QtGui.QImage.Format.Format_Grayscale8)
        ignore, smooth = QtCore.Qt.AspectRatioMode.IgnoreAspectRatio, QtCore.Qt.TransformationMode
        image = image.scaled(*rect[2:], ignore, smooth.SmoothTransformation)
        image = image.convertToFormat(QtGui.QImage.Format.Format_Grayscale8)
        rows = (image.constScanLine(y).asstring(rect[2]) for y in range(rect[3]))
        data = b"".join(rows)
    return replace(layer, raster=replace(layer.raster, rect=rect, width=rect[2], height=rect[3]), data=data)


def shape(layer: Layer) -> Generator[int, None, Any | None]:
    """The mask as a selection in the document's pixels; None if it selects nothing."""
    x, y, width, height = layer.raster.rect
    view = memoryview(layer.data).cast("B")
    selection, is_empty = Selection(), True
    rows = max(1, BAND // width)
    for first in range(0, height, rows):
        count = min(rows, height - first)
        band = bytes(view[first * width : (first + count) * width])
        if band.count(0) < len(band):
            selection.setPixelData(band, x, y + first, width, count)
            is_empty = False
        yield 0
    return None if is_empty else selection


def put_one(
    host: Any, entry: Entry, layer: Layer, selection: Any, tell: Tell
) -> Generator[int, None, str | None]:
    """Adds a selection mask to the source layer, and selects it by Krita's own action."""
    place = find(host, entry)
    if place is None or place[1] is None:
        return None
    document, node = place
    active = document.activeNode()
    mask = make(document, layer, selection)
    if not node.addChildNode(mask, None):
        raise refused(node.name())
    recipes.bind(document, mask, recipes.Recipe(layer.recipe, entry.node))
    yield 0
    kept = f"kept as a selection mask of '{node.name()}'."
    if is_shown(host, document):
        document.setActiveNode(mask)
        yield from idle(document, tell)
        yield 0
    if not is_shown(host, document):
        return f"'{layer.title}' is {kept}"  # the action would be another picture's
    host.action("selectopaque").trigger()
    yield 0
    yield from idle(document, tell)
    document.setActiveNode(active if active is not None else node)
    yield 0
    return f"'{layer.title}' is selected, and {kept}"


def gather(
    host: Any, document: Any, title: str, shaped: Sequence[tuple[Layer, Any]]
) -> Generator[int, None, Any]:
    """A group of selection masks, the first on top, made in a small document that nobody sees."""
    space = document.colorModel(), document.colorDepth(), document.colorProfile()
    workshop = host.createDocument(SIDE, SIDE, "Velatura", *space, 72.0)
    if workshop is None:
        raise refused(document.name())
    try:
        workshop.setBatchmode(True)
        yield 0
        group = workshop.createGroupLayer(title)
        workshop.rootNode().addChildNode(group, None)
        below = None
        for layer, selection in reversed(shaped):
            mask = make(workshop, layer, selection)
            group.addChildNode(mask, below)
            below = mask
            yield 0
        yield from idle(workshop)
        return group.clone()
    finally:
        workshop.setModified(False)
        workshop.close()


def put_group(host: Any, entry: Entry, group: Any, shaped: Sequence[tuple[Layer, Any]]) -> str | None:
    """Add the finished group above the source layer, in one undo step and one turn."""
    place = find(host, entry)
    if place is None:
        return None
    document, node = place
    name = node.name() if node is not None else document.name()
    parent = node.parentNode() if node is not None else document.rootNode()
    above = place_above(parent, node, results_in(document, parent, entry.node))
    if not parent.addChildNode(group, above):
        raise refused(name)
    for child, (layer, _selection) in zip(reversed(group.childNodes()), shaped, strict=True):
        recipes.bind(document, child, recipes.Recipe(layer.recipe, entry.node))
    count = "1 selection mask" if len(shaped) == 1 else f"{len(shaped)} selection masks"
    return f"{count} above '{name}': choose one, then Select > Select Opaque."


def make(document: Any, layer: Layer, selection: Any) -> Any:
    mask = document.createSelectionMask(layer.title)
    mask.setSelection(selection)
    return mask


def refused(name: str) -> VelaturaError:
    return VelaturaError("internal", f"Krita did not take the masks of '{name}'.")
