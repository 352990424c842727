"""Found masks as channels of the image, and a single one as its selection, in one undo step. The channels
stay when the person selects something else, so no mask is lost.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gi.repository import Gegl, Gimp

from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Raster
from velatura_protocol.sights import LAYER

from .capture import channel_format
from .evidence import named
from .formats import Rect, intersection
from .insert import refuse_closed
from .sources import Mark, attach_recipe

OPACITY = 50.0  # percent, of the tint that shows a channel; Select > Save to Channel takes the same


@dataclass(frozen=True)
class Mask:
    """One mask of a result. title: mostly the word. data: the raster's bytes, `A` of `u8`."""

    title: str
    raster: Raster
    data: bytes | bytearray
    recipe: dict


def insert_masks(
    image: Gimp.Image, source: Gimp.Layer, masks: Sequence[Mask], sees: str = LAYER
) -> tuple[list[Gimp.Channel], str]:
    """Puts the masks into hidden channels, the first on top; a single one becomes the selection too.

    source: their source layer, which gets its mark; the chosen layer stays chosen. sees: see `sight.Sight`.
    A mask without anything within the canvas becomes no channel; the returned sentence names such ones, and
    is "" where there are none. Raises VelaturaError where the image has been closed meanwhile, and
    `empty-mask`, with the image as it was, where nothing was found at all.
    """
    refuse_closed(image)
    found = [mask for mask in masks if any(map(any, _rows(mask, _common(image, mask.raster.rect))))]
    lost = named([mask.title for mask in masks if mask not in found]) if len(found) < len(masks) else ""
    if not found:
        sentence = f"Nothing of {lost} was found in the layer; your selection is as it was."
        raise VelaturaError("empty-mask", sentence)
    mark = Mark(source, sees)
    channels = [_channel(image, mask, mark) for mask in found]
    selected = image.get_selected_layers()
    image.undo_group_start()
    try:
        for position, channel in enumerate(channels):
            image.insert_channel(channel, None, position)
        if len(masks) == 1:
            _select(image, channels[0])
        image.set_selected_layers(selected)
        mark.attach()
    finally:
        image.undo_group_end()
    return channels, f"Nothing of {lost} was found." if lost else ""


def _channel(image: Gimp.Image, mask: Mask, source: Mark) -> Gimp.Channel:
    """A channel has the canvas' size: the mask outside it is cut off."""
    width, height = image.get_width(), image.get_height()
    channel = Gimp.Channel.new(image, mask.title, width, height, OPACITY, Gimp.color_parse_css("black"))
    channel.set_visible(False)
    common = _common(image, mask.raster.rect)
    if common is not None:
        buffer = channel.get_buffer()
        buffer.set(Gegl.Rectangle.new(*common), channel_format(image), b"".join(_rows(mask, common)))
        buffer.flush()
        channel.update(*common)
    attach_recipe(channel, mask.recipe, source)
    return channel


def _select(image: Gimp.Image, channel: Gimp.Channel) -> None:
    """Selects it exactly: with the person's feather setting GIMP would blur it."""
    Gimp.context_push()
    try:
        Gimp.context_set_feather(False)
        image.select_item(Gimp.ChannelOps.REPLACE, channel)
    finally:
        Gimp.context_pop()


def _common(image: Gimp.Image, rect: Rect) -> Rect | None:
    return intersection(rect, (0, 0, image.get_width(), image.get_height()))


def _rows(mask: Mask, common: Rect | None) -> list[memoryview]:
    """The rows of the mask within `common`, from the top."""
    if common is None:
        return []
    left, top, width, _ = mask.raster.rect
    x, y, wide, high = common
    data = memoryview(mask.data)
    starts = ((row - top) * width + x - left for row in range(y, y + high))
    return [data[start : start + wide] for start in starts]
