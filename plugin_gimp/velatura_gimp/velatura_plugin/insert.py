"""The result in the image: a group above the source with one masked layer per variation, in one undo step."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gi.repository import Gegl, Gimp

from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Raster
from velatura_protocol.sights import LAYER

from . import planes
from .formats import Encoding
from .sources import PARASITE as SOURCE
from .sources import Mark, attach_recipe, has_recipe

#: The modes of a layer that lies over those below it. A group that passes through has no pixels of its own.
_OVER = (Gimp.LayerMode.NORMAL, Gimp.LayerMode.NORMAL_LEGACY, Gimp.LayerMode.PASS_THROUGH)


@dataclass(frozen=True)
class Variation:
    """One layer of a result. data: the raster's bytes."""

    title: str
    raster: Raster
    data: bytes | bytearray
    recipe: dict


def insert(
    image: Gimp.Image,
    above: Gimp.Layer | None,
    source: Gimp.Layer,
    title: str,
    variations: Sequence[Variation],
    code: Encoding,
    sees: str = LAYER,
) -> Gimp.GroupLayer:
    """Puts the variations, first on top and alone visible, into a group above the layer `above`.

    Layers are filled before the undo group is opened, which is then short.

    Args:
        image: the picture.
        above: None, or a layer that is gone: the top of the stack.
        source: the layer they were made from, which is marked as that.
        title: of the group.
        variations: the best first.
        code: the encoding of the image's layers.
        sees: see `sight.Sight`.

    Raises VelaturaError where the image has been closed or made indexed meanwhile.
    """
    refuse_closed(image)
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        raise VelaturaError(
            "unsupported-colour",
            "The picture was made indexed before the result came; choose Image > Mode > RGB and run again.",
        )
    mark = Mark(source, sees)
    layers = [_layer(image, variation, code, mark) for variation in variations]
    selected = image.get_selected_layers()
    image.undo_group_start()
    try:
        group = Gimp.GroupLayer.new(image, title)
        image.insert_layer(group, *_place(image, above))
        for position, layer in enumerate(layers):
            image.insert_layer(layer, group, position)
            layer.set_visible(position == 0)
        if takes_over(source, sees):
            _take_over(image, source, group)
        image.set_selected_layers(selected)
        mark.attach()
    finally:
        image.undo_group_end()
    return group


def takes_over(source: Gimp.Layer, sees: str) -> bool:
    """Whether a result takes the place of its layer: it is composited with the layers below it in another way
    than by lying over them.
    """
    if sees != LAYER or not source.is_valid():
        return False
    return source.get_opacity() < 100.0 or source.get_mode() not in _OVER


def _take_over(image: Gimp.Image, source: Gimp.Layer, group: Gimp.GroupLayer) -> None:
    """Gives the group the source's place in the picture: its mode, its opacity, and a copy of its pixels
    below the variations. The source and its earlier results right above it are hidden: the layers below
    would be composited with it twice.
    """
    copy = source.copy()
    image.insert_layer(copy, group, len(group.get_children()))
    copy.detach_parasite(SOURCE)  # a copy is no source
    for layer, mode, opacity in (
        (group, source.get_mode(), source.get_opacity()),
        (copy, Gimp.LayerMode.NORMAL, 100.0),
    ):
        layer.set_mode(mode)
        layer.set_opacity(opacity)
    group.set_blend_space(source.get_blend_space())
    group.set_composite_space(source.get_composite_space())
    group.set_composite_mode(source.get_composite_mode())
    copy.set_visible(True)
    copy.set_name(f"{source.get_name()} before the edit")
    source.set_visible(False)
    parent = source.get_parent()
    stack = parent.get_children() if parent is not None else image.get_layers()
    for sibling in reversed(stack[: image.get_item_position(source)]):
        if sibling.get_id() == group.get_id():
            continue
        if not (sibling.is_group() and any(map(has_recipe, sibling.get_children()))):
            break
        sibling.set_visible(False)


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


def _place(image: Gimp.Image, above: Gimp.Layer | None) -> tuple[Gimp.Layer | None, int]:
    """Parent and position right above a layer; the top of the stack where the layer is gone."""
    if above is None or not above.is_valid():
        return None, 0
    return above.get_parent(), image.get_item_position(above)
