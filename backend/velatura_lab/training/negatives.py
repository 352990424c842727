"""Captions that are wrong in one thing: hard negatives for contrastive training (Yuksekgonul et al. 2023)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from velatura_lab.world import ATTRIBUTES, Caption, Word, caption, edit

from .labels import readable

LEAST = 0.4  # least change of a degree, below which its word may stay the same


def other_value(scene: Any, name: str, rng: np.random.Generator) -> Any:
    """Another value of an attribute, drawn evenly; a degree differs by at least LEAST."""
    attribute = ATTRIBUTES[scene.kind][name]
    value = getattr(scene, name)
    if attribute.degree:
        low, high = max(0.0, value - LEAST), max(0.0, 1.0 - LEAST - value)
        place = float(rng.uniform(0.0, low + high))
        return place if place < low else min(value + LEAST + place - low, 1.0)
    others = [other for other in attribute.values if other != value]
    return others[int(rng.integers(len(others)))]


def changed(scene: Any, seen: frozenset[str], rng: np.random.Generator) -> tuple[str, Any]:
    """(attribute, the scene with another value of it), for an attribute that the picture shows."""
    names = [name for name in ATTRIBUTES[scene.kind] if readable(scene, name, seen)]
    name = names[int(rng.integers(len(names)))]
    return name, edit(scene, **{name: other_value(scene, name, rng)})


def differing(a: Caption, b: Caption) -> list[Word]:
    """The words that only one of two captions has."""
    one, two = Counter(a.words), Counter(b.words)
    return [*(one - two), *(two - one)]


def wrong_caption(
    scene: Any, other: Any, seen: frozenset[str], draw: Callable[[], np.random.Generator | None]
) -> tuple[Caption, Caption | None]:
    """A caption of a scene, and one of a changed scene that differs only where the scenes do.

    The second caption is None where it may be true of the first scene: it does not mention the change, or the
    same random numbers have worded something else too.

    Args:
        scene: The scene.
        other: The scene with one attribute changed.
        seen: Elements in view of the scene; new elements of the other scene count as in view.
        draw: Gives a generator of the same random numbers on each call, or None for the canonical wording.
    """
    new = caption(other).elements() - caption(scene).elements()
    views = (scene, seen), (other, seen | new)
    full = [caption(one, None, view.__contains__) for one, view in views]
    right, wrong = (caption(one, draw(), view.__contains__) for one, view in views)
    concerned = {word.element for word in differing(*full)} - {""}
    about = {word.element for word in differing(right, wrong)} - {""}
    return right, wrong if about and about <= concerned else None
