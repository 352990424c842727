"""Further rasters of an edit as a model's input: the same crop as the source's, at the same size.

`given` reads a raster and refuses an empty one. `Given.seen` resizes it to the model's picture [h, w]; each
kind then becomes:

    picture     float32 [h, w, 4]: colours in [-1, 1], transparent ones over the mean of the visible; alpha
    mask        float32 [h, w, 1] in [0, 1]
    labels      int64 [h, w, 1]: the colour as 65536 R + 256 G + B (sRGB, 8 bits each), -1 where unpainted
    reference   as picture, but the whole raster at a size of its own, wherever it lies in the document
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Raster

from .colour import Encoding, view
from .geometry import Box, Region, plan
from .region import mirrored, over_mean, painted
from .selection import Layer, Selection

_BAND = 1 << 20
_GREY = Encoding("G", "u8")

Read = Callable[[Layer, Region, int, int], np.ndarray]


@dataclass(frozen=True)
class Given:
    """A raster that has been read. _read: see `seen`, with the same arguments."""

    _read: Read

    def seen(self, layer: Layer, region: Region, side: int, multiple: int) -> np.ndarray:
        """The raster as the method receives it, [h, w, C].

        Args:
            layer: the source.
            region: the part of it that the model sees.
            side: see `geometry.plan`.
            multiple: see `geometry.plan`.
        """
        return self._read(layer, region, side, multiple)


def given(kind: str, title: str, raster: Raster, data: bytes | memoryview, icc: bytes = b"") -> Given:
    """Reads a raster.

    Args:
        kind: a kind of the protocol.
        title: its name for the person.
        raster: its description.
        data: its blob.
        icc: its ICC profile; empty where its name defines the colour space.

    Raises `bad-layer` and `unsupported-colour` as `Layer.of`; for an empty raster `empty-mask` or
    `empty-layer`.
    """
    raster = replace(raster, whole=None)  # it is empty outside its own rectangle, whatever it is a part of
    if kind == "mask":
        is_mask = len(raster.channels) == 1
        values = view(raster, data)[..., 0] if is_mask else _as_mask(Layer.of(raster, data, icc))
        if not any(values[band.slices].any() for band in _all_of(values).bands(_BAND)):
            raise VelaturaError("empty-mask", f"{title} selects nothing; paint on it or choose another one.")
        return Given(lambda layer, region, *_: _mask(values, raster, layer, region))
    own = Layer.of(raster, data, icc)
    if own.encoding.has_alpha and not own.pixels[..., own.encoding.channels.index("A")].any():
        raise VelaturaError("empty-layer", f"{title} has no paint; paint on it or choose another layer.")
    if kind == "labels":
        return Given(lambda layer, region, *_: _labels(own, layer, region))
    if kind == "reference":
        return Given(lambda _layer, _region, side, multiple: _reference(own, side, multiple))
    return Given(lambda layer, region, *_: _in_place(own, layer, region))


def _all_of(values: np.ndarray) -> Box:
    return Box(0, 0, values.shape[1], values.shape[0])


def _crop_in(own: Layer, layer: Layer, region: Region) -> Box:
    """The region's crop in the coordinates of the layer `own`, which may lie elsewhere."""
    return region.crop.moved(layer.origin[0] - own.origin[0], layer.origin[1] - own.origin[1])


def _in_place(own: Layer, layer: Layer, region: Region) -> np.ndarray:
    """A picture that is compared with the layer, and so is seen by the layer's own curve."""
    own = replace(own, encoding=replace(own.encoding, tone=layer.encoding.tone))
    return _picture(own, _crop_in(own, layer, region), region)


def _picture(own: Layer, crop: Box, region: Region) -> np.ndarray:
    paint = painted(own, crop, region.inner)
    image, _ = over_mean(paint)
    seen = np.concatenate([image * 2.0 - 1.0, paint[..., 3:].clip(0.0, 1.0)], axis=2)
    return mirrored(seen.astype(np.float32), region)


def _reference(own: Layer, side: int, multiple: int) -> np.ndarray:
    own = own.toned(own.box)
    region = plan(own.box, own.pixels.shape[:2], side, multiple, 0.0)
    return _picture(own, region.crop, region)


def _mask(values: np.ndarray, raster: Raster, layer: Layer, region: Region) -> np.ndarray:
    x, y = raster.rect[0] - layer.origin[0], raster.rect[1] - layer.origin[1]
    place = Box(x, y, x + raster.width, y + raster.height)
    covered = Selection(values, place, place).covered(region.crop, region.inner)
    return mirrored(covered[..., None], region)


def _as_mask(layer: Layer) -> np.ndarray:
    """A painted layer as a mask, [height, width] of its alpha's type or uint8.

    The mask is its alpha or, if the layer is opaque everywhere, its lightness (white selects): people paint
    masks in both ways.
    """
    encoding = layer.encoding
    if encoding.has_alpha:
        alpha = layer.pixels[..., encoding.channels.index("A")]
        opaque = np.iinfo(alpha.dtype).max if alpha.dtype.kind == "u" else 1
        if (alpha < opaque).any():
            return alpha
    out = np.empty(layer.pixels.shape[:2], np.uint8)
    for band in layer.box.bands(_BAND):
        rgb, _ = encoding.decode(layer.pixels[band.slices])
        out[band.slices] = _GREY.encode(rgb.clip(0.0, 1.0), np.empty(0))[..., 0]
    return out


def _labels(own: Layer, layer: Layer, region: Region) -> np.ndarray:
    """The colour of the nearest pixel, since the mean of two labels would be a third label."""
    crop = _crop_in(own, layer, region)
    ys = crop.y0 + (2 * np.arange(region.inner[0]) + 1) * crop.height // (2 * region.inner[0])
    xs = crop.x0 + (2 * np.arange(region.inner[1]) + 1) * crop.width // (2 * region.inner[1])
    height, width = own.pixels.shape[:2]
    rows, columns = (ys >= 0) & (ys < height), (xs >= 0) & (xs < width)
    out = np.full(region.inner, -1, np.int64)
    if rows.any() and columns.any():
        rgb, alpha = own.encoding.decode(own.pixels[np.ix_(ys[rows], xs[columns])])
        red, green, blue = np.moveaxis(np.rint(rgb.clip(0.0, 1.0) * 255.0).astype(np.int64), -1, 0)
        out[np.ix_(rows, columns)] = np.where(alpha >= 0.5, 65536 * red + 256 * green + blue, -1)
    return mirrored(out[..., None], region)
