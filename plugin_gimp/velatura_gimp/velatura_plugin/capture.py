"""The capture of a request: the pixels of the source layer, which does not change, and the selection.

Generators read large layers in strips and yield after each, so that an open dialog stays alive. `at_once` is
for runs without a dialog. Strips are also faster than one read.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from gi.repository import Gegl, Gimp

from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Pixels
from velatura_protocol.sights import LAYER

from . import planes
from .colours import in_own_space
from .formats import Encoding, Rect, encoding, intersection
from .sight import Sight, alone, rectangle

STRIP = 64  # rows, the height of GIMP's tiles

MOST_ROWS = 512  # of a look, about

T = TypeVar("T")
Steps = Generator[None, None, T]  # gives way after each step, and returns a T


@dataclass(frozen=True)
class Capture:
    """code: the layer's encoding on the wire. canvas: the image's width and height. inputs: pixels by the
    raster's name; the sender hashes them, which takes a while. sees: see `sight.Sight`.
    """

    code: Encoding
    inputs: Mapping[str, Pixels | None]
    canvas: tuple[int, int]
    sees: str = LAYER


@dataclass(frozen=True)
class Look:
    """rect: of the image. data: height rows of width RGBA pixels with straight alpha, 8-bit sRGB."""

    rect: Rect
    width: int
    height: int
    data: bytes


def at_once(steps: Steps[T]) -> T:
    """The result of the steps, run without a pause."""
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


def source_layer(image: Gimp.Image, drawables: list) -> Gimp.Layer:
    """The layer to edit. Raises VelaturaError unless exactly one layer is chosen and can be edited."""
    refuse_image(image)
    if len(drawables) != 1:
        raise VelaturaError("bad-request", "Choose one layer to edit in the Layers dialog.")
    drawable = drawables[0]
    refuse_other(image, drawable)
    if drawable.is_layer_mask():
        return Gimp.Layer.from_mask(drawable)
    if not drawable.is_layer():
        raise VelaturaError("bad-request", "A channel cannot be edited; choose a layer.")
    return drawable


def refuse_other(image: Gimp.Image, drawable: Gimp.Drawable) -> None:
    """Raises VelaturaError where a script has named a drawable of another image."""
    if drawable.get_image().get_id() != image.get_id():
        raise VelaturaError(
            "bad-request",
            f"“{drawable.get_name()}” belongs to another picture; name a layer of the picture to edit.",
        )


def refuse_image(image: Gimp.Image) -> None:
    """Raises VelaturaError where no layer can be made in the image."""
    if image.get_base_type() == Gimp.ImageBaseType.INDEXED:
        raise VelaturaError(
            "unsupported-colour",
            "Velatura cannot edit indexed pictures; choose Image > Mode > RGB first.",
        )
    if image.get_floating_sel() is not None:
        raise VelaturaError(
            "bad-request", "Anchor the floating selection first (Layer > Anchor Layer), or make it a layer."
        )


def _refuse_gone(sight: Sight, *items: Gimp.Item) -> None:
    """Raises VelaturaError where something was deleted, or the image changed, while a dialog was open."""
    if not sight.image.is_valid():
        raise VelaturaError("bad-request", "The picture was closed; cancel this, and open it again.")
    needed = [*items, *([sight.layer] if sight.sees == LAYER else [])]
    if not all(item.is_valid() for item in needed):
        raise VelaturaError(
            "bad-request", "The layer has been deleted; undo that, or cancel this and choose another layer."
        )
    refuse_image(sight.image)


def capture(sight: Sight) -> Steps[Capture]:
    """Pixels and selection. Raises `mask-outside` where the selection does not touch the layer."""
    _refuse_gone(sight)
    _, some, left, top, right, bottom = Gimp.Selection.bounds(sight.image)
    if not some:
        return (yield from capture_whole(sight))
    code = image_encoding(sight.image)
    common = intersection(sight.rect(), (left, top, right - left, bottom - top))
    if common is None:
        raise VelaturaError(
            "mask-outside",
            "The selection does not touch the layer; select a part of it, or choose another layer.",
        )
    mask = yield from read(sight.image.get_selection(), common, (0, 0), code.mask)
    return _capture(sight, code, (yield from _pixels(sight, code)), (common, mask))


def capture_whole(sight: Sight) -> Steps[Capture]:
    """The pixels, regardless of the selection."""
    _refuse_gone(sight)
    code = image_encoding(sight.image)
    return _capture(sight, code, (yield from _pixels(sight, code)))


def capture_with_mask_of(sight: Sight, result: Gimp.Layer, was_whole: bool) -> Steps[Capture]:
    """The pixels, with the present layer mask of an earlier result as the selection; where the mask has been
    applied to the layer, that is the layer's alpha.

    was_whole: whether the result's recipe has no selection. Then none is sent for a result without a layer
    mask, nor for a mask equal to the layer's own alpha.
    """
    _refuse_gone(sight, result)
    code = image_encoding(sight.image)
    place, theirs = sight.rect(), rectangle(result)
    common = intersection(place, theirs)
    if common is None:
        raise VelaturaError(
            "mask-outside", "The result lies beside the layer it was made from; move it back over it."
        )
    layer_mask = result.get_mask()
    if layer_mask is None and was_whole:
        return (yield from capture_whole(sight))
    pixels = yield from _pixels(sight, code)
    if layer_mask is None:
        own = yield from read(result, common, theirs[:2], code.pixels)
        return _capture(sight, code, pixels, (common, planes.alpha(own, len(code.channels), code.dtype)))
    values = yield from read(layer_mask, common, theirs[:2], code.mask)
    whole = common == place and values == planes.alpha(pixels, len(code.channels), code.dtype)
    return _capture(sight, code, pixels, None if whole else (common, values))


def capture_anew(sight: Sight, found: Gimp.Channel, was_whole: bool) -> Steps[Capture]:
    """The place to look for a mask again: the whole layer, or else the present selection. found: the mask, as
    a channel. Raises `empty-mask` where only that mask itself is selected: nothing else can be found within
    it.
    """
    _refuse_gone(sight, found)
    if was_whole:
        return (yield from capture_whole(sight))
    image = sight.image
    everything = (0, 0, *canvas(image))
    selected = yield from read(image.get_selection(), everything, (0, 0), "Y u8")
    before = yield from read(found, everything, (0, 0), channel_format(image))
    if selected == before or Gimp.Selection.is_empty(image):
        raise VelaturaError(
            "empty-mask", "This was found within a selection; select where to look, and run it again."
        )
    return (yield from capture(sight))


def look(sight: Sight, rect: Rect | None = None) -> Steps[Look | None]:
    """A part of the pixels for the preview; all of them where no part is given. None where the part is empty.
    A high layer is sampled in some rows only, since it is shown small.
    """
    _refuse_gone(sight)
    place = sight.rect()
    common = intersection(place, rect or place)
    if common is None:
        return None
    x, y, width, height = common
    data, every = bytearray(), max(1, height // MOST_ROWS)
    with sight.open() as (drawable, (left, above)):
        buffer = drawable.get_buffer()
        for top in range(y, y + height, STRIP):
            rows = min(STRIP, y + height - top)
            area = Gegl.Rectangle.new(x - left, top - above, width, rows)
            strip = buffer.get(area, 1.0, "R'G'B'A u8", Gegl.AbyssPolicy.NONE)
            first = -(top - y) % every
            data += b"".join(strip[row * width * 4 :][: width * 4] for row in range(first, rows, every))
            yield
    return Look(common, width, len(data) // (width * 4), bytes(data))


def image_encoding(image: Gimp.Image) -> Encoding:
    """The encoding of this image's layers on the wire. Raises `bad-layer` for a precision of a newer GIMP."""
    precision = image.get_precision().value_nick
    try:
        return in_own_space(image, encoding(precision, image.get_base_type() == Gimp.ImageBaseType.GRAY))
    except KeyError:
        raise VelaturaError(
            "bad-layer", "Velatura does not know this picture's precision; choose another under Image > "
            "Precision.", detail=precision,
        ) from None  # fmt: skip


def channel_format(image: Gimp.Image) -> str:
    """The format of a channel that holds the selection's bytes: only channels of 8-bit images are written as
    perceptual values, and GIMP reads the bytes unchanged."""
    return "Y' u8" if image.get_precision() == Gimp.Precision.U8_NON_LINEAR else "Y u8"


def canvas(image: Gimp.Image) -> tuple[int, int]:
    """An image's width and height."""
    return image.get_width(), image.get_height()


def read(drawable: Gimp.Drawable, rect: Rect, origin: tuple[int, int], babl_format: str) -> Steps[bytearray]:
    """The pixels of `rect` (of the image) from a drawable whose corner is at `origin`."""
    x, y, width, height = rect[0] - origin[0], rect[1] - origin[1], *rect[2:]
    buffer, data = drawable.get_buffer(), bytearray()
    for top in range(y, y + height, STRIP):
        area = Gegl.Rectangle.new(x, top, width, min(STRIP, y + height - top))
        data += buffer.get(area, 1.0, babl_format, Gegl.AbyssPolicy.NONE)
        yield
    return data


def _capture(
    sight: Sight, code: Encoding, data: bytearray, mask: tuple[Rect, bytearray] | None = None
) -> Capture:
    selected = None
    if mask is not None:
        rect, values = mask
        selected = Pixels(values, rect, "A", code.dtype, "")
    layer = Pixels(data, sight.rect(), code.channels, code.dtype, code.profile, icc=code.icc)
    return Capture(code, {"source": layer, "mask": selected}, canvas(sight.image), sight.sees)


def _pixels(sight: Sight, code: Encoding) -> Steps[bytearray]:
    with sight.open() as (drawable, origin):
        return (yield from read(drawable, sight.rect(), origin, code.pixels))


def pixels_of(layer: Gimp.Layer, code: Encoding) -> Steps[bytearray]:
    """The layer's pixels with its filters and its mask applied, as the person sees them."""
    with alone(layer) as (drawable, origin):
        return (yield from read(drawable, rectangle(layer), origin, code.pixels))
