"""What can be said about a scene and read from its picture: choices, and degrees from little to much."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NOTHING: Any = object()  # "no value means absence": the attribute's element is always there


@dataclass(frozen=True)
class Attribute:
    """A field of a scene that has words.

    A choice lists its `values`.  A degree is a float from 0 to 1; its words name equal parts of that
    range, from little to much.  Where the value is `absent` there is none of the element, and nothing
    is to be seen of it; the attribute means something only where every attribute named in `needs` has
    one of the values given there.  An attribute of whatever another attribute puts into the picture
    names that one as `of` (the colour of a "thing"): where its value is an element's name, it is the element.
    """

    element: str
    values: tuple[Any, ...] = ()
    degree: tuple[str, ...] = ()
    absent: Any = NOTHING
    needs: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    of: str = ""

    def applies(self, scene: Any) -> bool:
        """Whether the scene has what the attribute speaks of."""
        return all(getattr(scene, name) in values for name, values in self.needs.items())


def validate(scene: Any, attributes: Mapping[str, Attribute]) -> None:
    """Refuse a scene with a value that no picture can be drawn of."""
    for name, attribute in attributes.items():
        value = getattr(scene, name)
        if attribute.degree:
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} must be a number from 0 to 1, not {value!r}")
        elif value not in attribute.values:
            raise ValueError(f"{name} must be one of {', '.join(map(str, attribute.values))}, not {value!r}")


def degree_class(attribute: Attribute, value: float) -> int:
    """Which of the equal parts of 0..1 a degree lies in, from 0."""
    return min(int(value * len(attribute.degree)), len(attribute.degree) - 1)


def degree_word(attribute: Attribute, value: float) -> str:
    return attribute.degree[degree_class(attribute, value)]


def degree_value(attribute: Attribute, word: str) -> float:
    """The middle of the part of 0..1 that a word names."""
    return (attribute.degree.index(word) + 0.5) / len(attribute.degree)
