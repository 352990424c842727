"""Where a result goes: its document, its source layer, and how both have changed since the capture."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import Any

from .capture import layout, reader_of
from .journal import Entry
from .places import find
from .rest import Closed, Tell, idle
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.placement import Placement, Sketch, recognise
from .velatura_protocol.rasters import DTYPES as SIZES
from .velatura_protocol.rasters import Rect

FOLLOWS = "The picture was changed meanwhile; the result follows it."
STAYS = "The picture was changed meanwhile; the result lies where it was made, so move it to its place."

State = tuple[int, int, Rect]
Read = Callable[[int, int, int, int], Any]


@dataclass(frozen=True)
class Place:
    """An open document and the source layer in it (None if it is gone).

    state: of both when `placement` was found. note: a sentence for the person, or ''.
    """

    document: Any
    node: Any | None
    state: State
    placement: Placement
    note: str = ""


def box(node: Any) -> Rect:
    bounds = node.bounds()
    return bounds.x(), bounds.y(), bounds.width(), bounds.height()


def state_of(document: Any, node: Any | None) -> State:
    """Equal as long as nothing was cropped, scaled, turned or moved."""
    whole = (0, 0, document.width(), document.height())
    return document.width(), document.height(), box(node) if node is not None else whole


def settled(host: Any, entry: Entry, tell: Tell) -> Generator[int, None, Place | None]:
    """The place of a result once its document is idle; None if that is not open. See `steps.Steps`."""
    place = find(host, entry)
    if place is None:
        return None
    try:
        yield from idle(place[0], tell, released=True)
    except Closed:
        return None
    place = find(host, entry)
    if place is None:
        return None
    document, node = place
    state, before = state_of(document, node), Sketch.from_json(entry.sketch)
    stays = Placement(before.canvas if before is not None else state[:2])
    if before is None:
        return Place(document, node, state, stays)
    placement = yield from _recognised(before, document, node, state)
    if placement is None:
        return Place(document, node, state, stays, STAYS)
    return Place(document, node, state, placement, "" if placement.is_identity else FOLLOWS)


def _recognised(
    before: Sketch, document: Any, node: Any | None, state: State
) -> Generator[int, None, Placement | None]:
    width, height, bounds = state
    if node is None and (width, height) == before.canvas:
        return Placement(before.canvas)
    try:
        channels, dtype = layout(node if node is not None else document)
    except VelaturaError:  # converted meanwhile
        channels, dtype = "", "u8"
    if len(channels) * SIZES[dtype] != before.size:  # its pixels cannot be compared any more
        before = replace(before, patches=(), cells=())
    read: Read = reader_of(node) if node is not None else document.pixelData
    steps = recognise(before, SIZES[dtype], (width, height), bounds, read)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return end.value
        yield 0
