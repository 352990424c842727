"""Scenes that differ in one thing, as hard negatives for contrastive training (Yuksekgonul et al. 2023)."""

from __future__ import annotations

from typing import Any

import numpy as np

from velatura_lab.world import ATTRIBUTES, edit

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
