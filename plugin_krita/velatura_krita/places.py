"""Documents and layers, looked up by their ids before each use."""

from __future__ import annotations

from typing import Any

from .journal import Entry
from .qt import QtCore
from .recipes import bare
from .velatura_protocol.placement import Sketch


def node_by_id(document: Any, unique_id: str) -> Any | None:
    """The layer with this id (36 characters), or None."""
    return document.nodeByUniqueID(QtCore.QUuid("{" + unique_id + "}"))


def root_id(document: Any) -> str:
    """The id of the document's root, the same as long as it stays open; empty for one that was closed."""
    root = document.rootNode()
    return bare(root.uniqueId()) if root is not None else ""


def is_shown(host: Any, document: Any) -> bool:
    """Whether Krita's own actions would work on this document now."""
    shown = host.activeDocument()
    return shown is not None and root_id(shown) == root_id(document)


def find(host: Any, entry: Entry) -> tuple[Any, Any] | None:
    """The open document of a job's result, and its source layer (None if that was deleted).

    A copy of the document has layers of the same ids: the document that the job was started in is preferred,
    then the one of the same file.  Where the layer is gone, as after flattening, the same file with a picture
    of the same size is taken for the document.  None if no document fits.
    """
    best: tuple[int, Any, Any] | None = None
    before = Sketch.from_json(entry.sketch)
    for document in host.documents():
        node = node_by_id(document, entry.node) if entry.node else None
        is_same = root_id(document) == entry.root
        is_file = entry.file != "" and document.fileName() == entry.file
        is_size = before is not None and before.canvas == (document.width(), document.height())
        if node is None and not is_same and not (is_file and is_size):
            continue
        rank = 4 * is_same + 2 * (node is not None) + is_file
        if best is None or rank > best[0]:
            best = (rank, document, node)
    return best[1:] if best is not None else None
