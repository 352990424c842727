"""Landscapes: mountains and the valley between them, at any season and hour."""

from .grammar import vocabulary, words
from .paint import paint
from .scene import ATTRIBUTES, ELEMENTS, HELD_OUT, KIND, Landscape, Layout, sample

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
