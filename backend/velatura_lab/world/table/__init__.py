"""Still lifes: one or two things on a table before a wall."""

from .grammar import vocabulary, words
from .paint import paint
from .scene import ATTRIBUTES, ELEMENTS, HELD_OUT, KIND, Table, sample

__all__ = ["ATTRIBUTES", "ELEMENTS", "HELD_OUT", "KIND", "Table", "paint", "sample", "vocabulary", "words"]
