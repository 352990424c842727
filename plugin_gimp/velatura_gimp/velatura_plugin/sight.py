"""The pixels that a model is shown: one layer as it looks by itself, or the whole visible picture.

A layer's buffer is without its filters and its layer mask. To apply them without a trace in the image or its
undo history, a copy in an image of its own is used, which is deleted afterwards.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from gi.repository import Gimp

from velatura_protocol.sights import LAYER, VISIBLE

from .formats import Rect

#: Pixels that can be read, and the place of their corner in the image.
Seen = tuple[Gimp.Drawable, tuple[int, int]]


@dataclass(frozen=True)
class Sight:
    """The view of an edit.

    Attributes:
        image: the picture.
        layer: the chosen layer.
        sees: `LAYER` or `VISIBLE`.
        beneath: an item of the image; of the visible picture only the part below it is seen. None: all.
    """

    image: Gimp.Image
    layer: Gimp.Layer
    sees: str = LAYER
    beneath: Gimp.Layer | None = None

    def rect(self) -> Rect:
        """The place of the pixels in the image."""
        if self.sees == VISIBLE:
            return 0, 0, self.image.get_width(), self.image.get_height()
        return rectangle(self.layer)

    @contextlib.contextmanager
    def open(self) -> Iterator[Seen]:
        """The pixels, for as long as the context lasts."""
        look = visible(self.image, self.beneath) if self.sees == VISIBLE else alone(self.layer)
        with look as seen:
            yield seen


def rectangle(drawable: Gimp.Drawable) -> Rect:
    """The rectangle of a drawable in its image."""
    _, x, y = drawable.get_offsets()
    return x, y, drawable.get_width(), drawable.get_height()


@contextlib.contextmanager
def alone(layer: Gimp.Layer) -> Iterator[Seen]:
    """A layer with its filters and its layer mask, but without its opacity and its mode, which its result
    takes over (see `insert`).
    """
    filtered, masked = bool(layer.get_filters()), layer.get_mask() is not None and layer.get_apply_mask()
    x, y, width, height = rectangle(layer)
    if not filtered and not masked:
        yield layer, (x, y)
        return
    with _scratch(layer.get_image(), width, height) as scratch:
        copy = Gimp.Layer.new_from_drawable(layer, scratch)
        scratch.insert_layer(copy, None, 0)
        # Only a raster's own filters can be merged, and only its mask be applied: a group is composited.
        if type(copy) in (Gimp.Layer, Gimp.TextLayer):
            if filtered:
                copy.merge_filters()  # a filter may enlarge the copy
            if masked:
                copy.remove_mask(Gimp.MaskApplyMode.APPLY)  # keeps the colours where nothing is left
            _, left, top = copy.get_offsets()
            yield copy, (left, top)
            return
        copy.set_mode(Gimp.LayerMode.NORMAL)
        copy.set_opacity(100.0)
        copy.set_visible(True)
        copy.set_offsets(0, 0)
        yield _composite(scratch), (x, y)


@contextlib.contextmanager
def visible(image: Gimp.Image, beneath: Gimp.Layer | None = None) -> Iterator[Seen]:
    """The visible picture, or that below an item, without the item and everything above it."""
    scratch = image.duplicate()
    try:
        if beneath is not None:
            _hide_above(scratch, _path(beneath))
        yield _composite(scratch), (0, 0)
    finally:
        scratch.delete()


@contextlib.contextmanager
def _scratch(image: Gimp.Image, width: int, height: int) -> Iterator[Gimp.Image]:
    scratch = Gimp.Image.new_with_precision(width, height, image.get_base_type(), image.get_precision())
    try:
        profile = image.get_color_profile()
        if profile is not None:
            scratch.set_color_profile(profile)
        yield scratch
    finally:
        scratch.delete()


def _composite(scratch: Gimp.Image) -> Gimp.Layer:
    """A new layer of what is visible; it belongs to the image, which deletes it."""
    composite = Gimp.Layer.new_from_visible(scratch, scratch, "visible")
    scratch.insert_layer(composite, None, 0)
    return composite


def _path(item: Gimp.Layer) -> list[int]:
    """The positions that lead to an item from the top of its image."""
    image, path = item.get_image(), []
    at: Gimp.Layer | None = item
    while at is not None:
        path.insert(0, image.get_item_position(at))
        at = at.get_parent()
    return path


def _hide_above(image: Gimp.Image, path: list[int]) -> None:
    layers = image.get_layers()
    for depth, position in enumerate(path):
        is_last = depth == len(path) - 1
        for layer in layers[: position + is_last]:
            layer.set_visible(False)
        if not is_last:
            layers = layers[position].get_children()
