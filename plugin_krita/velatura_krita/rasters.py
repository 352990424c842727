"""The further rasters of a method: the layers to choose from, and their pixels."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

from .capture import GROUP, SHOWING, chosen, layout, read, reader_of
from .places import node_by_id
from .profiles import icc_of
from .recipes import bare
from .velatura_protocol.choices import SELECTION, Wanted, about_input, gone, layer_of, no_selection
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.rasters import DTYPES as SIZES
from .velatura_protocol.rasters import MAX_NAME, Pixels, Rect, common


def layers(document: Any | None) -> list[tuple[str, str]]:
    """(id, name) of every layer that shows pixels, from top to bottom, those in groups too."""
    root = document.rootNode() if document is not None else None
    return [(bare(node.uniqueId()), node.name()) for node in _below(root)] if root is not None else []


def _below(node: Any) -> Generator[Any, None, None]:
    for child in reversed(node.childNodes()):
        if child.type() in SHOWING and not (child.type() == GROUP and child.passThroughMode()):
            yield child
        yield from _below(child)


def capture_rasters(
    document: Any, wanted: Sequence[Wanted], canvas: Rect
) -> Generator[int, None, dict[str, Pixels]]:
    """The pixels of the chosen layers, by the raster's name; see `steps.Steps`. Each layer is read once.

    Raises VelaturaError with a sentence that names the raster.
    """
    read_already: dict[str, Pixels] = {}
    for one in wanted:
        if one.choice not in read_already:
            try:
                read_already[one.choice] = yield from _pixels(document, one, canvas)
            except VelaturaError as error:
                raise about_input(one, error) from error
    return {one.name: read_already[one.choice] for one in wanted}


def _pixels(document: Any, wanted: Wanted, canvas: Rect) -> Generator[int, None, Pixels]:
    if wanted.choice == SELECTION:
        selection = document.selection()
        within = chosen(selection, canvas)
        if within is None:
            raise no_selection()
        values = yield from read(selection.duplicate().pixelData, within, within[2])
        return Pixels(values, within, "A", "u8", "")
    node = node_by_id(document, layer_of(wanted.choice))
    if node is None:
        raise gone()
    channels, dtype = layout(node)
    box = node.bounds()
    rect = common((box.x(), box.y(), box.width(), box.height()), canvas)
    if not rect[2] or not rect[3]:
        name = node.name()
        raise VelaturaError("empty-layer", f"'{name}' is empty within the canvas; paint on it first.")
    data = yield from read(reader_of(node), rect, rect[2] * len(channels) * SIZES[dtype])
    icc = yield from icc_of(node)
    return Pixels(data, rect, channels, dtype, node.colorProfile(), node.name()[:MAX_NAME], icc)
