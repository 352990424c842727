"""A procedural world of captioned portraits with exact masks: what the embedded model learns from."""

from .caption import Caption, Word, caption, vocabulary
from .render import Picture, View, render
from .scene import ATTRIBUTES, ELEMENTS, Identity, Scene, Setting, edit, sample_scene

__all__ = [
    "ATTRIBUTES",
    "ELEMENTS",
    "Caption",
    "Identity",
    "Picture",
    "Scene",
    "Setting",
    "View",
    "Word",
    "caption",
    "edit",
    "render",
    "sample_scene",
    "vocabulary",
]
