"""A procedural world of captioned pictures with exact masks; the embedded model trains on it.

Three kinds of scene (portraits, landscapes, tables with things on them), four styles, and pairs of
pictures that differ by one edit.
"""

from .attributes import Attribute, degree_class, degree_value, degree_word
from .landscape import Landscape
from .pairs import CATALOGUE, Edit, Pair, make_pair, pairs
from .portrait import Portrait
from .render import Picture, View, render
from .scene import (
    ATTRIBUTES,
    KINDS,
    caption,
    edit,
    element_of,
    elements,
    holds,
    is_held_out,
    kind_of,
    sample_scene,
    vocabulary,
)
from .style import STYLES
from .table import Table
from .wording import Caption, Teller, Word

__all__ = [
    "ATTRIBUTES",
    "CATALOGUE",
    "KINDS",
    "STYLES",
    "Attribute",
    "Caption",
    "Edit",
    "Landscape",
    "Pair",
    "Picture",
    "Portrait",
    "Table",
    "Teller",
    "View",
    "Word",
    "caption",
    "degree_class",
    "degree_value",
    "degree_word",
    "edit",
    "element_of",
    "elements",
    "holds",
    "is_held_out",
    "kind_of",
    "make_pair",
    "pairs",
    "render",
    "sample_scene",
    "vocabulary",
]
