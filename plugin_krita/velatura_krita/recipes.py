"""Recipes in the document: one annotation for each result layer, keyed by the layer's unique id.

Krita stores annotations in the .kra file, so a recipe outlives the session, the daemon and the plugin.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from typing import Any

from .qt import QtCore

PREFIX = "velatura-recipe-"
DESCRIPTION = "How Velatura made this layer"


@dataclass(frozen=True)
class Recipe:
    """A layer's recipe: the request as it was run (SPEC section 5), and the layer it was made from."""

    request: dict
    source: str  #: unique id of the source layer
    kept: bool = False  #: the person has chosen it among its variations; it is the person's own layer now

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
    text = json.dumps(found, ensure_ascii=False)
    document.setAnnotation(key(node), DESCRIPTION, QtCore.QByteArray(text.encode()))


def read(document: Any, node: Any) -> Recipe | None:
    """The recipe of `node`, or None if it has none that can be read."""
    name = key(node)
    return _parse(document, name) if name in document.annotationTypes() else None


def recipes(document: Any) -> dict[str, Recipe]:
    """All recipes of the document, by their layers' unique ids (36 characters); layers that are gone too."""
    names = [name for name in document.annotationTypes() if name.startswith(PREFIX)]
    found = {name[len(PREFIX) :]: _parse(document, name) for name in names}
    return {layer: recipe for layer, recipe in found.items() if recipe is not None}


def inserted(document: Any, job: str) -> bool:
    """Whether the results of `job` have been inserted into `document` (an undone insertion counts too)."""
    return any(recipe.job == job for recipe in recipes(document).values())


def _parse(document: Any, name: str) -> Recipe | None:
    return _read(bytes(document.annotation(name)))


@functools.lru_cache(maxsize=1024)  # looked at twice a second, changed nearly never
def _read(text: bytes) -> Recipe | None:
    try:
        found = json.loads(text.decode())
        recipe, source = found["recipe"], found["source"]
        kept = found.get("kept") is True
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return Recipe(recipe, source, kept) if isinstance(recipe, dict) and isinstance(source, str) else None
