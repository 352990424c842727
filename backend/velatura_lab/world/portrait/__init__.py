"""Portraits: one person before a backdrop, in the light of a photographer's studio."""

from .grammar import vocabulary, words
from .paint import paint
from .scene import ATTRIBUTES, ELEMENTS, HELD_OUT, KIND, Identity, Portrait, Setting, sample

__all__ = [
    "ATTRIBUTES",
    "ELEMENTS",
    "HELD_OUT",
    "KIND",
    "Identity",
    "Portrait",
    "Setting",
    "paint",
    "sample",
    "vocabulary",
    "words",
]
