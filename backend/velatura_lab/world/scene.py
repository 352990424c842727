"""The kinds of scene, and the functions that serve a scene of any kind.

A scene is a small frozen dataclass.  It says nothing about pixels: `render.render` draws it and
`caption` words it.  Each kind is a package with its own dataclass, elements, attributes, grammar and
paint; here they are found by name.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from dataclasses import fields, replace
from functools import lru_cache
from types import ModuleType
from typing import Any

import numpy as np

from . import landscape, portrait, table
from .attributes import Attribute, degree_value, degree_word
from .style import STYLES
from .wording import Caption, Teller, common_vocabulary

KINDS: dict[str, ModuleType] = {kind.KIND: kind for kind in (portrait, landscape, table)}
#: Share of each kind in a training set.  Tables have the largest, since they have the most values (eleven
#: things, nine colours, five materials) and are the quickest to draw.
SHARES = {"portrait": 0.3, "landscape": 0.3, "table": 0.4}
#: kind -> attribute name -> attribute.  The first element, which is always in view, stands for the style.
ATTRIBUTES: dict[str, dict[str, Attribute]] = {
    name: {**kind.ATTRIBUTES, "style": Attribute(kind.ELEMENTS[0], STYLES)} for name, kind in KINDS.items()
}


def kind_of(scene: Any) -> ModuleType:
    return KINDS[scene.kind]


def elements(scene: Any) -> tuple[str, ...]:
    """The elements of a scene's kind, in the order of its masks.  `scene` may be the kind's name."""
    return KINDS[scene if isinstance(scene, str) else scene.kind].ELEMENTS


def element_of(scene: Any, name: str) -> str:
    """The element that shows an attribute in this scene."""
    attribute = ATTRIBUTES[scene.kind][name]
    named = getattr(scene, attribute.of) if attribute.of else ""
    return named if named in elements(scene) else attribute.element


def edit(scene: Any, **changes: Any) -> Any:
    """The same scene with some attributes changed; everything else stays."""
    return replace(scene, **changes)


def sample_scene(rng: np.random.Generator, kind: str | None = None, held_out: bool = False) -> Any:
    """Draw a scene from the training distribution; `held_out` gives it a combination kept out of training."""
    if kind is None:
        kind = str(rng.choice(list(SHARES), p=list(SHARES.values())))
    module = KINDS[kind]
    scene = module.sample(rng)
    if held_out:
        combination = module.HELD_OUT[int(rng.integers(len(module.HELD_OUT)))]
        scene = edit(scene, **{name: _value(kind, name, value) for name, value in combination.items()})
    return scene


def _value(kind: str, name: str, value: Any) -> Any:
    """The value of a field; a degree may be given as its word."""
    attribute = ATTRIBUTES[kind][name]
    return degree_value(attribute, value) if attribute.degree and isinstance(value, str) else value


def holds(scene: Any, combination: Mapping[str, Any]) -> bool:
    """Whether a scene has all the values of a combination; degrees agree by their word."""
    for name, value in combination.items():
        attribute, own = ATTRIBUTES[scene.kind][name], getattr(scene, name)
        if attribute.degree:
            value = value if isinstance(value, str) else degree_word(attribute, value)
            own = degree_word(attribute, own)
        if own != value:
            return False
    return True


def is_held_out(scene: Any) -> bool:
    """Whether a scene holds a combination kept out of training."""
    return any(holds(scene, combination) for combination in kind_of(scene).HELD_OUT)


def scene_seed(scene: Any) -> int:
    """A seed from the fields that no word names, so that edits keep the strokes of a style."""
    words = ATTRIBUTES[scene.kind]
    nameless = [getattr(scene, field.name) for field in fields(scene) if field.name not in words]
    return zlib.crc32(repr(nameless).encode())


def caption(
    scene: Any,
    rng: np.random.Generator | None = None,
    visible: Callable[[str], bool] = lambda element: True,
) -> Caption:
    """Word a scene.

    Args:
        scene: Any scene.
        rng: Draws the wording; None for the full canonical caption.
        visible: Tells for an element whether it is in view.
    """
    return kind_of(scene).words(scene, Teller(rng, visible, scene.style))


@lru_cache(maxsize=1)
def vocabulary() -> tuple[str, ...]:
    """Every word a caption can hold, sorted."""
    return tuple(sorted(common_vocabulary().union(*(kind.vocabulary() for kind in KINDS.values()))))
