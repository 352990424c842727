"""The part of a layer that an edit needs, and the pixels to send for it (SPEC section 5, `whole`).

A model sees the selection and its surroundings, and nothing reads the rest of the layer. So a client sends
that part alone. `seen` and `border` are the rule; the daemon uses the same functions, so the results have the
same bytes as with the whole layer.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Mapping, Sequence
from dataclasses import replace

from .catalogue import Catalogue, MethodInfo, ModelInfo
from .rasters import DTYPES, Pixels, Raster, Rect, common
from .requests import Edit

CONTEXT = 1.0  #: surroundings, in sizes of the selection, for a method without such a parameter
_MARGIN = (16, 0.25)  # of `border`, in pixels and in sizes of the selection: the larger counts
_FLOATS = {"f16": "<{}e", "f32": "<{}f"}


def seen(bounds: Rect, size: Sequence[int], side: int, context: float) -> Rect:
    """The part of a layer that a model sees.

    It is a square around the selection, moved into the layer. It is never smaller than `side`, so it is
    enlarged only if the layer itself is smaller. Where no square within the layer holds the selection, it is
    a rectangle.

    Args:
        bounds: the smallest rectangle within the layer that holds all selected pixels. All coordinates are
            the layer's.
        size: width and height of the layer.
        side: of the square pictures that the model was trained on.
        context: margin to show on each side, in sizes of the selection.
    """
    x, y, width, height = bounds
    longest = max(width, height)
    wanted = max(side, math.ceil(longest * (1.0 + 2.0 * context)))
    wanted = max(longest, min(wanted, max(min(size), 1)))
    left, wide = _span(x, x + width, wanted, size[0])
    top, high = _span(y, y + height, wanted, size[1])
    return left, top, wide, high


def border(bounds: Rect, size: Sequence[int]) -> Rect:
    """The selection with the margin at which ranking looks for a seam. Arguments as `seen`."""
    x, y, width, height = bounds
    least, share = _MARGIN
    margin = max(least, round(share * max(width, height)))
    return common((x - margin, y - margin, width + 2 * margin, height + 2 * margin), (0, 0, size[0], size[1]))


def needed(bounds: Rect, size: Sequence[int], side: int, context: float) -> Rect:
    """The part of a layer that an edit reads. Arguments as `seen`."""
    return _hull(seen(bounds, size, side, context), border(bounds, size))


def bounds_of(mask: Pixels, within: Rect) -> Rect | None:
    """The smallest rectangle that holds every value above 0; None where there is none. Coordinates are the
    document's.

    Args:
        mask: of one channel, see SPEC section 5.
        within: the part to look at.
    """
    left, top, width, height = common(mask.rect, within)
    nbytes, stride = DTYPES[mask.dtype], mask.rect[2] * DTYPES[mask.dtype]
    values = memoryview(mask.data).cast("B")
    first = (left - mask.rect[0]) * nbytes
    rows = [values[(y - mask.rect[1]) * stride + first :][: width * nbytes] for y in range(top, top + height)]
    inside: list[tuple[int, int, int]] = []  # row, first and last column
    for y, row in enumerate(rows):
        if span := _selected(row, mask.dtype):
            inside.append((y, *span))
    if not inside:
        return None
    x0, x1 = min(row[1] for row in inside), max(row[2] for row in inside)
    y0, y1 = inside[0][0], inside[-1][0]
    return left + x0, top + y0, x1 - x0 + 1, y1 - y0 + 1


def part_of(pixels: Pixels, rect: Rect) -> Pixels:
    """A part of the pixels of a layer or a mask, which knows the place and the digest of the whole.

    Args:
        pixels: the whole.
        rect: within it, in the document.
    """
    raster = pixels.raster
    return replace(_cut(pixels, rect), whole=pixels.rect, whole_digest=raster.digest)


def to_send(known: Catalogue, edit: Edit, inputs: Mapping[str, Pixels | None]) -> dict[str, Pixels | None]:
    """The inputs of an edit with only those parts of source and mask that it needs.

    They come back as they are where the whole layer is needed: without a selection, where everything but the
    selection changes, or for a daemon before 1.9. Takes a while for a large layer, which it hashes: call it
    outside the UI thread.

    Args:
        known: the daemon's methods and models.
        edit: to be sent.
        inputs: the pixels by the raster's name. `source` is the whole layer.
    """
    sent, source, mask = dict(inputs), inputs.get("source"), inputs.get("mask")
    if source is None or mask is None or source.whole is not None:
        return sent
    method = next((method for method in known.methods if method.id == edit.method), None)
    model = None if method is None else _model(known, edit, method)
    if method is None or model is None or not method.crops or not model.size or not model.is_size_known:
        return sent
    context = _context(known.for_model(method, model.id), edit)
    bounds = bounds_of(mask, source.rect)
    if context is None or bounds is None or _is_inverted(method, edit):
        return sent
    x, y, *size = source.rect
    rect = needed((bounds[0] - x, bounds[1] - y, *bounds[2:]), size, model.size, context)
    sent["mask"] = mask if bounds == mask.rect else part_of(mask, bounds)
    if rect != (0, 0, *size):
        sent["source"] = part_of(source, (rect[0] + x, rect[1] + y, *rect[2:]))
    return sent


def is_of(raster: Raster, pixels: Pixels) -> bool:
    """Whether the pixels of a whole layer are those that a recipe's raster was read from, in any place.

    Where the raster tells no digest of its whole layer, its part is compared.
    """
    x, y, width, height = raster.layer_rect
    if (width, height) != pixels.rect[2:]:
        return False
    if raster.whole is None or raster.whole_digest:
        whole = pixels.raster
        return (whole.digest, whole.icc) == (raster.whole_digest or raster.digest, raster.icc)
    place = raster.rect[0] - x + pixels.rect[0], raster.rect[1] - y + pixels.rect[1]
    part = _cut(pixels, (*place, raster.width, raster.height)).raster
    return (part.digest, part.icc) == (raster.digest, raster.icc)


def _cut(pixels: Pixels, rect: Rect) -> Pixels:
    """A rectangle of the document, within the pixels' own, as pixels of their own."""
    left, top, width, height = rect
    pixel = len(pixels.channels) * DTYPES[pixels.dtype]
    stride, data = pixels.rect[2] * pixel, memoryview(pixels.data).cast("B")
    first = (top - pixels.rect[1]) * stride + (left - pixels.rect[0]) * pixel
    cut = bytearray(width * height * pixel)
    for row in range(height):
        start = first + row * stride
        cut[row * width * pixel : (row + 1) * width * pixel] = data[start : start + width * pixel]
    return replace(pixels, data=cut, rect=rect)


def _selected(row: memoryview, dtype: str) -> tuple[int, int] | None:
    """The first and the last value of a row that is above 0."""
    values, nbytes = bytes(row), DTYPES[dtype]
    rest = values.lstrip(b"\0")
    if not rest:
        return None
    low, high = (len(values) - len(rest)) // nbytes, (len(values.rstrip(b"\0")) - 1) // nbytes
    if dtype not in _FLOATS:
        return low, high
    numbers = struct.unpack(_FLOATS[dtype].format(len(values) // nbytes), values)
    while low <= high and not numbers[low] > 0:  # a minus zero, a negative number or no number at all
        low += 1
    while low <= high and not numbers[high] > 0:
        high -= 1
    return (low, high) if low <= high else None


def _model(known: Catalogue, edit: Edit, method: MethodInfo) -> ModelInfo | None:
    """The model that will run the edit."""
    if edit.model:
        return known.model(edit.model)
    able = (model for model in known.models if method.id not in model.lacks)
    return next(able, None)


def _context(method: MethodInfo, edit: Edit) -> float | None:
    """The edit's surroundings; None for a value that the daemon will refuse."""
    spec = next((spec for spec in method.fields if spec.context), None)
    if spec is None:
        return CONTEXT
    value = edit.parameters.get(spec.key, spec.default)
    return float(value) if isinstance(value, (int, float)) and 0 <= value < math.inf else None


def _is_inverted(method: MethodInfo, edit: Edit) -> bool:
    """Whether everything but the selection changes."""
    return any(
        edit.parameters.get(spec.key, spec.default) == spec.rest for spec in method.fields if spec.rest
    )


def _span(low: int, high: int, wanted: int, limit: int) -> tuple[int, int]:
    """Start and length of a span around [low, high) and within [0, limit), of the wanted length or `limit` if
    that is less."""
    length = min(wanted, limit)
    return min(max(0, (low + high - length) // 2), limit - length), length


def _hull(a: Rect, b: Rect) -> Rect:
    """The smallest rectangle that holds both."""
    left, top = min(a[0], b[0]), min(a[1], b[1])
    right, bottom = max(a[0] + a[2], b[0] + b[2]), max(a[1] + a[3], b[1] + b[3])
    return left, top, right - left, bottom - top
