"""Attributes: the choices and degrees of a scene that captions word and a judge reads from pictures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

NOTHING: Any = object()  # `absent` of an attribute whose element is always there


@dataclass(frozen=True)
class Attribute:
    """A field of a scene that has words.

    Args:
        element: The part of the picture that shows the attribute.
        values: The values of a choice; empty for a degree.
        degree: The words of a degree, which is a float from 0 to 1.  The words name equal parts of that
            range, from little to much.
        absent: The value at which the picture has nothing of the element.
        needs: Attribute name -> values.  The attribute applies only where each of these attributes has one
            of its values.
        of: The attribute whose value names the element, if it names one (the "thing" of a colour).
    """

    element: str
    values: tuple[Any, ...] = ()
    degree: tuple[str, ...] = ()
    absent: Any = NOTHING
    needs: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    of: str = ""

    def applies(self, scene: Any) -> bool:
        """Whether the attribute means something in the scene."""
        return all(getattr(scene, name) in values for name, values in self.needs.items())


def validate(scene: Any, attributes: Mapping[str, Attribute]) -> None:
    """Raise ValueError for a value that cannot be drawn."""
    for name, attribute in attributes.items():
        value = getattr(scene, name)
        if attribute.degree:
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} must be a number from 0 to 1, not {value!r}")
        elif value not in attribute.values:
            raise ValueError(f"{name} must be one of {', '.join(map(str, attribute.values))}, not {value!r}")


def degree_class(attribute: Attribute, value: float) -> int:
    """The number, from 0, of the word whose part of 0..1 holds a degree."""
    return min(int(value * len(attribute.degree)), len(attribute.degree) - 1)


def degree_word(attribute: Attribute, value: float) -> str:
    return attribute.degree[degree_class(attribute, value)]


def degree_value(attribute: Attribute, word: str) -> float:
    """The middle of the part of 0..1 that a word names."""
    return (attribute.degree.index(word) + 0.5) / len(attribute.degree)
