"""Recipes in the document: one annotation for each result layer, keyed by the layer's unique id.

Krita stores annotations in the .kra file, so a recipe outlives the session, the daemon and the plugin.
Recipes of layers that are gone are set aside in memory, so that no file grows with them; undo brings the
layer back, and `tidy` its recipe.
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
_aside: dict[str, dict[str, bytes]] = {}  #: annotations of layers that are gone, by their document's root


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
    text = json.dumps(found, ensure_ascii=False)
    document.setAnnotation(key(node), DESCRIPTION, QtCore.QByteArray(text.encode()))


def read(document: Any, node: Any) -> Recipe | None:
    """The recipe of `node`, or None if it has none that can be read."""
    name = key(node)
    if name in document.annotationTypes():
        return _read(bytes(document.annotation(name)))
    return _read(_of(document).get(name, b""))


def recipes(document: Any) -> dict[str, Recipe]:
    """All recipes of the document, by their layers' unique ids (36 characters); layers that are gone too."""
    texts = _of(document) | {name: bytes(document.annotation(name)) for name in _names(document)}
    found = {name[len(PREFIX) :]: _read(text) for name, text in texts.items()}
    return {layer: recipe for layer, recipe in found.items() if recipe is not None}


def tidy(document: Any) -> None:
    """Sets the recipes of layers that are gone aside, and brings those of layers that are back."""
    aside = _of(document)
    for name in _names(document):
        if _is_gone(document, name):
            aside[name] = bytes(document.annotation(name))
            document.removeAnnotation(name)
    for name in [name for name in aside if not _is_gone(document, name)]:
        document.setAnnotation(name, DESCRIPTION, QtCore.QByteArray(aside.pop(name)))
    if aside:
        _aside[_root(document)] = aside


def let_go(documents: Sequence[Any]) -> None:
    """Forgets the recipes aside of all documents but these, which are open."""
    roots = {_root(document) for document in documents}
    for root in [root for root in _aside if root not in roots]:
        del _aside[root]


def _root(document: Any) -> str:
    root = document.rootNode()
    return bare(root.uniqueId()) if root is not None else ""


def _of(document: Any) -> dict[str, bytes]:
    """The recipes of a document that are aside, by their annotations' names."""
    return _aside.get(_root(document), {})


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
