"""The pixels that the model sees: of the layer, of it with all below, or of the visible picture.

Krita tells the composition of whole documents only. So for a layer with all below, a hidden clone of the
document loses the layers above it; a clone shares its pixels with the document until either changes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from .places import node_by_id
from .recipes import bare
from .rest import idle
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.rasters import Rect
from .velatura_protocol.sights import LAYER, VISIBLE

Steps = Generator[int, None, Any]


@dataclass(frozen=True)
class Sight:
    """A picture to read. space: with colour model, depth and profile. bounds: of all that is not clear."""

    space: Any
    bounds: Rect
    read: Callable[..., Any]
    close: Callable[[], None]


def sight(
    document: Any, node: Any, sees: str, bounds: Rect, reader: Callable[[Any], Callable[..., Any]]
) -> Steps:
    """The picture for this choice (see `sights.TITLES`); the caller closes it. See `steps.Steps`.

    bounds: of the layer. reader: gives the reader of a layer.
    """
    if sees == LAYER:
        return Sight(node, bounds, reader(node), _nothing)
    canvas = (0, 0, document.width(), document.height())
    if sees == VISIBLE or not any(above(document, node)):
        return Sight(document, canvas, document.pixelData, _nothing)
    clone = document.clone()
    if clone is None:
        raise VelaturaError("internal", "Krita could not copy the picture; save your work, then run again.")
    try:
        clone.setBatchmode(True)
        yield 0
        twin = node_by_id(clone, bare(node.uniqueId()))
        for other in above(clone, twin):
            other.remove()
            yield 0
        clone.refreshProjection()
        yield from idle(clone)
    except BaseException:
        _close(clone)
        raise
    return Sight(document, canvas, clone.pixelData, lambda: _close(clone))


def above(document: Any, node: Any) -> list[Any]:
    """The layers that lie above a layer, in its group and in those around it."""
    found, root = [], bare(document.rootNode().uniqueId())
    while node is not None and bare(node.uniqueId()) != root:
        parent = node.parentNode()
        children = parent.childNodes()
        at = [bare(child.uniqueId()) for child in children].index(bare(node.uniqueId()))
        found += [child for child in children[at + 1 :] if not child.type().endswith("mask")]
        node = parent
    return found


def _nothing() -> None:
    """There is nothing to close."""


def _close(document: Any) -> None:
    with suppress(RuntimeError):  # Krita has closed it already
        document.setModified(False)
        document.close()
