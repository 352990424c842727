"""Copies of results: a layer that was duplicated, copied to another picture or flattened keeps its recipe.

Krita gives each of these a new unique id. So the active layer, or the layers of the active group, are
compared with the known results by the size and the digest of their pixels, in every open document.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

from . import recipes
from .capture import BAND, GROUP, PAINT, layout, reader_of
from .places import node_by_id, root_id
from .recipes import Recipe, bare
from .rest import idle
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.evidence import Evidence, hasher
from .velatura_protocol.rasters import DTYPES as SIZES
from .velatura_protocol.rasters import Rect

MOST = 16  #: layers that are compared at once, of a group


def box(node: Any) -> Rect:
    bounds = node.bounds()
    return bounds.x(), bounds.y(), bounds.width(), bounds.height()


def evidence_of(node: Any) -> Generator[int, None, Evidence | None]:
    """The evidence of a layer, a band in each turn; None for an empty one. See `steps.Steps`."""
    x, y, width, height = rect = box(node)
    if width < 1 or height < 1:
        return None
    channels, dtype = layout(node)
    read, hashed = reader_of(node), hasher(f"{channels} {dtype}")
    rows = max(1, BAND // (width * len(channels) * SIZES[dtype]))
    for top in range(y, y + height, rows):
        hashed.update(memoryview(read(x, top, width, min(rows, y + height - top))).cast("B"))
        yield 0
    return Evidence(hashed.hexdigest(), rect)


class Copies:
    """Looks for the recipes of copies; `look` is called now and then. It belongs to a session."""

    def __init__(self, session: Any) -> None:
        self.session, self.host = session, session.host
        self._compared: dict[
            str, tuple[Rect, int]
        ] = {}  #: layers without a match, and the known results then
        self._is_busy = False

    def look(self) -> None:
        """Compares the active layer, or the layers of the active group, where they may be copies."""
        document = self.host.activeDocument()
        node = document.activeNode() if document is not None else None
        if node is None or self._is_busy:
            return
        known = [recipe for other in self.host.documents() for recipe in recipes.recipes(other).values()]
        known = [recipe for recipe in known if recipe.evidence is not None]
        wanted = [one for one in self._unknown(document, node) if self._may_be(one, known)] if known else []
        if wanted:
            self._is_busy = True
            steps = self._compare(document, [bare(one.uniqueId()) for one in wanted], known)
            self.session.stepper.start(steps, self._ended, self._ended)

    def _ended(self, _outcome: object) -> None:
        self._is_busy = False

    def _unknown(self, document: Any, node: Any) -> list[Any]:
        nodes = node.childNodes()[:MOST] if node.type() == GROUP else [node]
        return [one for one in nodes if one.type() == PAINT and recipes.read(document, one) is None]

    def _may_be(self, node: Any, known: Sequence[Recipe]) -> bool:
        rect, name = box(node), bare(node.uniqueId())
        if self._compared.get(name) == (rect, len(known)):
            return False
        self._compared[name] = rect, len(known)
        return any(recipe.evidence.rect[2:] == rect[2:] for recipe in known)

    def _compare(
        self, document: Any, names: Sequence[str], known: Sequence[Recipe]
    ) -> Generator[int, None, None]:
        for name in names:
            yield from idle(document)
            node = node_by_id(document, name)
            if node is None:
                continue
            try:
                proof = yield from evidence_of(node)
            except VelaturaError:  # no colours that a result has
                continue
            match = next((r for r in known if proof is not None and proof.is_same(r.evidence)), None)
            if match is not None and root_id(document):
                recipes.bind(document, node, replace(match, kept=True, evidence=proof))
