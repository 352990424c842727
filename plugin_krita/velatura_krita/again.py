"""The way back from a result to its origin: recipe, selection, source layer."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any

from . import recipes
from .capture import SELECTING
from .places import is_shown, node_by_id
from .rest import Tell, idle, unheard
from .since import changes
from .velatura_protocol.comparison import Changes


@dataclass(frozen=True)
class Result:
    """A layer that Velatura made."""

    document: Any
    node: Any
    recipe: recipes.Recipe


def selected(host: Any) -> Result | None:
    """The active layer, if it is a result; in an active group, its topmost visible layer."""
    document = host.activeDocument()
    node = document.activeNode() if document is not None else None
    if node is not None and node.type() == "grouplayer":
        node = next((child for child in reversed(node.childNodes()) if child.visible()), None)
    recipe = recipes.read(document, node) if node is not None else None
    return Result(document, node, recipe) if recipe is not None else None


def go_back(
    host: Any, result: Result, tell: Tell = unheard, known: Changes | None = None
) -> Generator[int, None, str]:
    """Restores the selection and activates the source layer; see `steps.Steps`.

    tell: see `rest.idle`. known: changes of the method and of the model since.

    The result's alpha is its selection, so Krita's own undoable "select opaque" restores it at any depth.
    Returns a sentence for the person, and one for each change since the result was made.
    """
    document, request = result.document, result.recipe.request
    since = yield from changes(document, result.node, result.recipe)
    if known is not None:
        since = replace(since, is_method_newer=known.is_method_newer, lacks_model=known.lacks_model)
    yield from idle(document, tell)
    document.setActiveNode(result.node)
    yield 0
    yield from idle(document, tell)
    masked = request.get("inputs", {}).get("mask") is not None
    if not (
        masked and result.node.type() == SELECTING
    ):  # a mask that was found is not the one it was found in
        if not is_shown(host, document):  # the action would be another picture's
            return f"Go back to '{document.name()}', then press Adjust again."
        host.action("selectopaque" if masked else "deselect").trigger()
        yield 0
        yield from idle(document)
    source = node_by_id(document, result.recipe.source)
    if source is None:
        begin = "These are the result's settings; the layer that it was made from is gone."
    else:
        document.setActiveNode(source)
        begin = f"These are the result's settings and selection; run them again on '{source.name()}'."
    return " ".join((begin, *since.sentences))
