"""A portrait as a row of numbers: a style-based generator makes its picture from them."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
from numpy.typing import NDArray

from .scene import ATTRIBUTES, Identity, Portrait, Setting, sample

STYLE = "photo"
TEXTURE = 0  # of every described portrait, so that its picture follows from its numbers

#: Middle and half width of the numbers of `Setting` that are not in -1..1 already.
_SPANS = {
    "centre_x": (0.0, 0.1),
    "centre_y": (0.05, 0.04),
    "scale": (0.56, 0.05),
    "tilt": (0.0, 0.12),
    "turn": (0.0, 0.07),
    "light_height": (0.6, 0.3),
}
_GEOMETRY = tuple(field.name for field in fields(Identity) if field.name != "texture")
_SETTING = tuple(field.name for field in fields(Setting))


def names() -> tuple[str, ...]:
    """The names of the numbers: "hat=beanie" for a choice, "age" for a degree or a number without words."""
    found: list[str] = []
    for name, attribute in ATTRIBUTES.items():
        found += [f"{name}={value}" for value in attribute.values] if attribute.values else [name]
    return (*found, *_GEOMETRY, *_SETTING)


def described(scene: Portrait) -> Portrait:
    """The portrait that a description stands for: a photograph with the texture of all described ones."""
    return replace(scene, style=STYLE, identity=replace(scene.identity, texture=TEXTURE))


def describe(scene: Portrait) -> NDArray[np.float32]:
    """A portrait's description, (D,): 1 or 0 for each value of a choice; 2 d - 1 for a degree d from 0 to 1;
    geometry and setting in about -1..1. What the picture does not show is 0."""
    row: list[float] = []
    for name, attribute in ATTRIBUTES.items():
        value, shown = getattr(scene, name), attribute.applies(scene)
        if attribute.values:
            row += [float(shown and value == one) for one in attribute.values]
        else:
            row.append((2.0 * value - 1.0) if shown else 0.0)
    row += [getattr(scene.identity, name) for name in _GEOMETRY]
    for name in _SETTING:
        middle, width = _SPANS.get(name, (0.0, 1.0))
        row.append((getattr(scene.setting, name) - middle) / width)
    return np.array(row, np.float32)


def sample_described(rng: np.random.Generator) -> Portrait:
    """Draw a portrait from the training distribution that has a description."""
    return described(sample(rng))
