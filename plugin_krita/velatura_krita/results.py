"""Results in the layer stack: their recognition, their sources and their order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from .capture import SELECTING
from .recipes import Recipe, bare, recipes


@dataclass(frozen=True)
class Result:
    """A group of variations, or a layer that was kept of one.

    source: unique id of the layer it was made from.  variations: those of a group, the topmost first; empty
    for a kept layer.  masks: it selects and shows nothing.
    """

    node: Any
    source: str
    variations: tuple[Any, ...] = ()
    kept: bool = False
    masks: bool = False

    @property
    def shown(self) -> Any | None:
        """The variation that shows: the topmost visible one."""
        return next((variation for variation in self.variations if variation.visible()), None)


def result_of(node: Any, known: Mapping[str, Recipe]) -> Result | None:
    """`node` as a result; None for a layer of the person's own.  known: the document's recipes."""
    own = known.get(bare(node.uniqueId()))
    if own is not None:
        return Result(node, own.source, kept=own.kept, masks=node.type() == SELECTING)
    children = [child for child in reversed(node.childNodes()) if bare(child.uniqueId()) in known]
    if not children or node.type() != "grouplayer":
        return None
    source = known[bare(children[0].uniqueId())].source
    return Result(node, source, tuple(children), masks=children[0].type() == SELECTING)


def results_in(document: Any, parent: Any, source: str) -> list[Result]:
    """The results of a source among the children of `parent`, the lowest first."""
    known = recipes(document)
    found = [result_of(node, known) for node in parent.childNodes()] if known else []
    return [result for result in found if result is not None and result.source == source]


def overlapping(document: Any, parent: Any, source: str, box: Any) -> list[Any]:
    """Layers of `results_in` that are visible within `box` (a QRect), without kept ones: the alternatives of
    each other."""
    return [
        result.node
        for result in results_in(document, parent, source)
        if not (result.kept or result.masks)
        and result.node.visible()
        and result.node.bounds().intersects(box)
    ]


def place_above(parent: Any, node: Any | None, earlier: list[Result]) -> Any | None:
    """The child of `parent` above which a new result goes: the topmost of its source and of earlier results.

    None: on top of all.
    """
    if node is None:
        return None
    wanted = {bare(n.uniqueId()) for n in (node, *(result.node for result in earlier))}
    return [child for child in parent.childNodes() if bare(child.uniqueId()) in wanted][-1]


def groups(document: Any) -> Iterator[tuple[Result, Any]]:
    """Each group of variations of a document and its parent, from the top of the stack down."""
    known = recipes(document)

    def below(parent: Any) -> Iterator[tuple[Result, Any]]:
        for node in reversed(parent.childNodes()):
            result = result_of(node, known)
            if result is not None and result.variations and not result.masks:
                yield result, parent
            yield from below(node)

    if known:
        yield from below(document.rootNode())
