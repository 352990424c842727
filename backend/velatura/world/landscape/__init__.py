"""Landscapes: mountains and what lies between them, at any season and hour."""

from .paint import paint
from .scene import ATTRIBUTES, ELEMENTS, HELD_OUT, KIND, Landscape, Layout, sample
from .words import vocabulary, words

Scene = Landscape

__all__ = [
    "ATTRIBUTES",
    "ELEMENTS",
    "HELD_OUT",
    "KIND",
    "Landscape",
    "Layout",
    "Scene",
    "paint",
    "sample",
    "vocabulary",
    "words",
]
