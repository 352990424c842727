"""The sections of the list of methods: their order, and their titles in a painter's words.

A method says its section with `Method.section`; hosts, the command line and the documentation show the title.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import Literal

SectionName = Literal[
    "words",
    "degrees",
    "faces",
    "selection",
    "repaint",
    "critic",
    "several",
    "new",
    "other",
    "select",
    "describe",
]

SECTIONS: MappingProxyType[SectionName, str] = MappingProxyType(
    {
        "words": "Change by words",
        "degrees": "Change by degrees",
        "faces": "Faces",
        "selection": "Paint into the selection",
        "repaint": "Repaint and mix",
        "critic": "With a critic's eye",  # CLIP looks at the picture and says how near it is to the words
        "several": "Several changes at once",
        "new": "Something new",
        "other": "More ways to edit",
        "select": "Select",
        "describe": "Describe",
    }
)
"""Every section by its name, in the order of the list."""

OF_KIND: MappingProxyType[str, SectionName] = MappingProxyType(
    {"layer": "other", "mask": "select", "text": "describe"}
)
"""The section of a method that says none, by the kind of its result."""


def section_of(section: str, result: str) -> SectionName:
    """The section of a method.

    Args:
        section: as the method says it; '' for that of its kind of result.
        result: its kind of result.

    Raises TypeError for an unknown one.
    """
    if not section:
        return OF_KIND.get(result, "other")
    for name in SECTIONS:
        if name == section:
            return name
    raise TypeError(f"the section is none of {', '.join(SECTIONS)}")


def order(section: SectionName) -> int:
    """The place of a section in the list, from 0."""
    return list(SECTIONS).index(section)
