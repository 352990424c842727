"""The result in the image: a group above the source with one masked layer per variation, in one undo step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gi.repository import Gegl, Gimp

from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Raster

from . import planes
from .formats import Encoding
from .sources import Mark, attach_recipe


@dataclass(frozen=True)
class Variation:
    """One layer of a result. data: the raster's bytes."""

    title: str
    raster: Raster
    data: bytes | bytearray
    recipe: dict


def insert(
    image: Gimp.Image,
    above: Gimp.Layer,
    source: Gimp.Layer,
    title: str,
    variations: Sequence[Variation],
    code: Encoding,
) -> Gimp.GroupLayer:
    """Puts the variations, first on top and alone visible, into a group above the layer `above`.

    source: the layer they were made from, which is marked as that. title: of the group. Layers are filled
    before the undo group is opened, which is then short. Raises VelaturaError where the image has been closed
    or made indexed meanwhile.
    """
    refuse_closed(image)
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        raise VelaturaError(
            "unsupported-colour",
            "The picture was made indexed before the result came; choose Image > Mode > RGB and run again.",
        )
    mark = Mark(source)
    layers = [_layer(image, variation, code, mark) for variation in variations]
    selected = image.get_selected_layers()
    image.undo_group_start()
    try:
        group = Gimp.GroupLayer.new(image, title)
        image.insert_layer(group, *_place(image, above))
        for position, layer in enumerate(layers):
            image.insert_layer(layer, group, position)
            layer.set_visible(position == 0)
        image.set_selected_layers(selected)
        mark.attach()
    finally:
        image.undo_group_end()
    return group


def refuse_closed(image: Gimp.Image) -> None:
    """Raises VelaturaError where the image has been closed."""
    if not image.is_valid():
        raise VelaturaError(
            "bad-request", "The picture was closed before the result came; open it and run again."
        )


def _layer(image: Gimp.Image, variation: Variation, code: Encoding, mark: Mark) -> Gimp.Layer:
    x, y, width, height = variation.raster.rect
    kind = image.get_base_type()
    layer = Gimp.Layer.new(
        image,
        variation.title,
        width,
        height,
        Gimp.ImageType.GRAYA_IMAGE if kind == Gimp.ImageBaseType.GRAY else Gimp.ImageType.RGBA_IMAGE,
        100.0,
        image.get_default_new_layer_mode(),
    )
    layer.set_offsets(x, y)
    colours, alpha = planes.split(variation.data, len(code.channels), code.dtype)
    _write(layer, width, height, code.pixels, colours)
    mask = layer.create_mask(Gimp.AddMaskType.BLACK)
    layer.add_mask(mask)
    _write(mask, width, height, code.mask, alpha)
    attach_recipe(layer, variation.recipe, mark)
    return layer


def _write(drawable: Gimp.Drawable, width: int, height: int, babl_format: str, data: bytearray) -> None:
    buffer = drawable.get_buffer()
    buffer.set(Gegl.Rectangle.new(0, 0, width, height), babl_format, bytes(data))
    buffer.flush()
    drawable.update(0, 0, width, height)


def _place(image: Gimp.Image, above: Gimp.Layer) -> tuple[Gimp.Layer | None, int]:
    """Parent and position right above a layer; the top of the stack where the layer is gone."""
    if not above.is_valid():
        return None, 0
    return above.get_parent(), image.get_item_position(above)
