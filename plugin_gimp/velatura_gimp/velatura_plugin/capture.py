"""What is sent: the pixels of the source layer, which is only read, and the selection."""

from __future__ import annotations

from dataclasses import dataclass

from gi.repository import Gegl, Gimp

from velatura_protocol.errors import VelaturaError
from velatura_protocol.messages import digest
from velatura_protocol.rasters import Raster

from . import planes
from .formats import Encoding, Rect, encoding, intersection


@dataclass(frozen=True)
class Capture:
    """inputs, canvas: as the request has them. blobs: the bytes by digest. code: how the layer travels."""

    code: Encoding
    inputs: dict
    canvas: list[int]
    blobs: dict[str, bytes]


def source_layer(image: Gimp.Image, drawables: list) -> Gimp.Layer:
    """The layer to edit. Raises VelaturaError where there is not exactly one, or it cannot be edited."""
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        raise VelaturaError(
            "unsupported-colour",
            "Velatura cannot edit indexed pictures; choose Image > Mode > RGB first.",
        )
    if len(drawables) != 1:
        raise VelaturaError("bad-request", "Choose one layer to edit in the Layers dialog.")
    if image.get_floating_sel() is not None:
        raise VelaturaError(
            "bad-request", "Anchor the floating selection first (Layer > Anchor Layer), or make it a layer."
        )
    drawable = drawables[0]
    if drawable.is_layer_mask():
        return Gimp.Layer.from_mask(drawable)
    if not drawable.is_layer():
        raise VelaturaError("bad-request", "A channel cannot be edited; choose a layer.")
    return drawable


def capture(image: Gimp.Image, layer: Gimp.Layer) -> Capture:
    """Layer and selection. Raises `mask-outside` where the selection does not touch the layer."""
    _, some, left, top, right, bottom = Gimp.Selection.bounds(image)
    if not some:
        return capture_whole(image, layer)
    code = image_encoding(image)
    place = rectangle(layer)
    common = intersection(place, (left, top, right - left, bottom - top))
    if common is None:
        raise VelaturaError(
            "mask-outside",
            "The selection does not touch the layer; select a part of it, or choose another layer.",
        )
    mask = (common, read(image.get_selection(), common, (0, 0), code.mask))
    return _capture(image, place, _pixels(image, layer, place, code), code, mask)


def capture_whole(image: Gimp.Image, layer: Gimp.Layer) -> Capture:
    """The layer, whatever is selected."""
    code, place = image_encoding(image), rectangle(layer)
    return _capture(image, place, _pixels(image, layer, place, code), code, None)


def capture_with_mask_of(image: Gimp.Image, layer: Gimp.Layer, result: Gimp.Layer) -> Capture:
    """The layer, and the layer mask of an earlier result, as the artist has left it, for the selection.

    A mask that is the layer's own alpha comes from an edit of the whole layer, and none is sent again.
    """
    code = image_encoding(image)
    place = rectangle(layer)
    common = intersection(place, rectangle(result))
    if common is None:
        raise VelaturaError(
            "mask-outside", "The result lies beside the layer it was made from; move it back over it."
        )
    pixels = _pixels(image, layer, place, code)
    layer_mask = result.get_mask()
    if layer_mask is None:
        return _capture(image, place, pixels, code, None)
    values = read(layer_mask, common, rectangle(result)[:2], code.mask)
    whole = common == place and values == planes.alpha(pixels, len(code.channels), code.dtype)
    return _capture(image, place, pixels, code, None if whole else (common, values))


def image_encoding(image: Gimp.Image) -> Encoding:
    """How layers of this image travel. Raises `bad-layer` for a precision of a newer GIMP."""
    precision = image.get_precision().value_nick
    try:
        return encoding(precision, image.get_base_type() == Gimp.ImageBaseType.GRAY)
    except KeyError:
        raise VelaturaError(
            "bad-layer", "Velatura does not know this picture's precision; choose another under Image > "
            "Precision.", detail=precision,
        ) from None  # fmt: skip


def rectangle(drawable: Gimp.Drawable) -> Rect:
    """Where a drawable lies in its image."""
    _, x, y = drawable.get_offsets()
    return x, y, drawable.get_width(), drawable.get_height()


def read(drawable: Gimp.Drawable, rect: Rect, origin: tuple[int, int], babl_format: str) -> bytes:
    """The pixels of `rect` (of the image) from a drawable whose corner is at `origin`."""
    x, y, width, height = rect
    area = Gegl.Rectangle.new(x - origin[0], y - origin[1], width, height)
    return drawable.get_buffer().get(area, 1.0, babl_format, Gegl.AbyssPolicy.NONE)


def _capture(
    image: Gimp.Image, place: Rect, data: bytes, code: Encoding, mask: tuple[Rect, bytes] | None
) -> Capture:
    source = Raster(digest(data), *place[2:], code.channels, code.dtype, code.profile, place)
    inputs, blobs = {"source": source.to_wire(), "mask": None}, {source.digest: data}
    if mask is not None:
        rect, values = mask
        raster = Raster(digest(values), *rect[2:], "A", code.dtype, "", rect)
        inputs["mask"] = raster.to_wire()
        blobs[raster.digest] = values
    return Capture(code, inputs, [image.get_width(), image.get_height()], blobs)


def _pixels(image: Gimp.Image, layer: Gimp.Layer, place: Rect, code: Encoding) -> bytes:
    """The layer's pixels with its filters applied, as the artist sees them.

    A layer's buffer is without its non-destructive filters. To apply them without a trace in the image or its
    undo history, a copy in an image of its own is used.
    """
    if not layer.get_filters():
        return read(layer, place, place[:2], code.pixels)
    scratch = Gimp.Image.new_with_precision(*place[2:], image.get_base_type(), image.get_precision())
    try:
        profile = image.get_color_profile()
        if profile is not None:
            scratch.set_color_profile(profile)
        copy = Gimp.Layer.new_from_drawable(layer, scratch)
        scratch.insert_layer(copy, None, 0)
        copy.merge_filters()  # a filter may enlarge the copy: read where the layer was
        _, x, y = copy.get_offsets()
        return read(copy, place, (x, y), code.pixels)
    finally:
        scratch.delete()
