"""Still lifes: one or two things on a table before a wall."""

from .paint import paint
from .scene import ATTRIBUTES, ELEMENTS, HELD_OUT, KIND, Table, sample
from .words import vocabulary, words

__all__ = ["ATTRIBUTES", "ELEMENTS", "HELD_OUT", "KIND", "Table", "paint", "sample", "vocabulary", "words"]
