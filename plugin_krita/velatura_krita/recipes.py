"""Recipes in the document: one annotation for each result layer, keyed by the layer's unique id.

Krita stores annotations in the .kra file, so a recipe outlives the session, the daemon and the plugin.
While a document is open it keeps the recipes of layers that are gone, too: undo brings such a layer back, and
a save may follow at once. They are let go when the file is opened again, since no undo reaches them then.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .qt import QtCore
from .velatura_protocol.evidence import Evidence
from .velatura_protocol.sights import LAYER, known

PREFIX = "velatura-recipe-"
DESCRIPTION = "How Velatura made this layer"
_seen: list[Any] = []  #: the open documents whose recipes of gone layers were let go


@dataclass(frozen=True)
class Recipe:
    """A layer's recipe: the request as it was run (SPEC section 5), and the layer it was made from."""

    request: dict
    source: str  #: unique id of the source layer
    kept: bool = False  #: the person has chosen it among its variations; it is the person's own layer now
    evidence: Evidence | None = None  #: the layer's pixels, by which a copy of it is known
    sees: str = LAYER  #: the picture that it was made from, one of `sights.TITLES`

    @property
    def job(self) -> str:
        return str(self.request.get("job", ""))


def bare(unique_id: Any) -> str:
    """A QUuid as 36 characters without braces."""
    return unique_id.toString().strip("{}")


def key(node: Any) -> str:
    return PREFIX + bare(node.uniqueId())


def bind(document: Any, node: Any, recipe: Recipe) -> None:
    """Bind `recipe` to `node`, which belongs to `document`."""
    found = {"recipe": recipe.request, "source": recipe.source} | ({"kept": True} if recipe.kept else {})
    if recipe.evidence is not None:
        found["evidence"] = recipe.evidence.to_json()
    if recipe.sees != LAYER:
        found["sees"] = recipe.sees
    annotate(document, key(node), DESCRIPTION, json.dumps(found, ensure_ascii=False).encode())


def annotate(document: Any, name: str, description: str, data: bytes) -> None:
    """Writes an annotation, if it is not there already: Krita counts each writing as a change."""
    if name not in document.annotationTypes() or bytes(document.annotation(name)) != data:
        document.setAnnotation(name, description, QtCore.QByteArray(data))


def read(document: Any, node: Any) -> Recipe | None:
    """The recipe of `node`, or None if it has none that can be read."""
    name = key(node)
    return _read(bytes(document.annotation(name))) if name in document.annotationTypes() else None


def recipes(document: Any) -> dict[str, Recipe]:
    """All recipes of the document, by their layers' unique ids (36 characters); layers that are gone too."""
    found = {name[len(PREFIX) :]: _read(bytes(document.annotation(name))) for name in _names(document)}
    return {layer: recipe for layer, recipe in found.items() if recipe is not None}


def let_go(documents: Sequence[Any]) -> None:
    """Lets go the recipes of gone layers in the documents that were opened since the last call.

    documents: all that are open. Such a document counts as changed no more than before. Documents are
    compared, not their roots: flattening gives a document another root, and undo the former one.
    """
    _seen[:] = [document for document in _seen if any(document == other for other in documents)]
    for document in documents:
        if any(document == other for other in _seen):
            continue
        _seen.append(document)
        was_modified = document.modified()
        gone = [name for name in _names(document) if _is_gone(document, name)]
        for name in gone:
            document.removeAnnotation(name)
        if gone and not was_modified:
            document.setModified(False)


def _names(document: Any) -> list[str]:
    return [name for name in document.annotationTypes() if name.startswith(PREFIX)]


def _is_gone(document: Any, name: str) -> bool:
    return document.nodeByUniqueID(QtCore.QUuid("{" + name[len(PREFIX) :] + "}")) is None


def inserted(document: Any, job: str) -> bool:
    """Whether the results of `job` have been inserted into `document` (an undone insertion counts too)."""
    return any(recipe.job == job for recipe in recipes(document).values())


@functools.lru_cache(maxsize=1024)  # looked at twice a second, changed nearly never
def _read(text: bytes) -> Recipe | None:
    try:
        found = json.loads(text.decode())
        recipe, source = found["recipe"], found["source"]
        sees = known(found.get("sees"))
        kept, proof = found.get("kept") is True, Evidence.from_json(found.get("evidence"))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    is_one = isinstance(recipe, dict) and isinstance(source, str)
    return Recipe(recipe, source, kept, proof, sees) if is_one else None
