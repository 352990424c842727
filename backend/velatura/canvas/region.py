"""Turns a part of a layer into the picture that a model sees.

Transparent pixels take the mean colour of the visible ones, since a model knows no transparency. This colour
adds the least contrast at the edges of the paint; a model would take black or white there for an outline.
Paint of one colour, such as ink, would vanish in its own mean: it lies on white paper, light paint on black.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from velatura_protocol.errors import VelaturaError

from .geometry import Box, Region
from .resample import Resized, nearest, resize
from .selection import Layer, Selection

_BAND = 1 << 18
_FLAT = 0.06  # standard deviation of the colours, in sRGB, up to which paint counts as one colour
_CLEAR = 0.02  # share of transparency from which the backdrop of such paint matters
_LIGHT = 0.6  # luma above which one colour is light: yellow and chalk are, pencil is not
_LUMA = np.array([0.2126, 0.7152, 0.0722], np.float32)  # ITU-R BT.709


class Seen(NamedTuple):
    """The input of a model.

    image: [h, w, 3] float32 sRGB in [0, 1]. mask: [h, w] float32 in [0, 1], the selection. backdrop: [3], the
    colour behind transparent pixels.
    """

    image: np.ndarray
    mask: np.ndarray
    backdrop: np.ndarray


def see(layer: Layer, selection: Selection, region: Region, *, may_be_empty: bool = False) -> Seen:
    """Crops the region, resizes it to the model's scale and pads it with its mirror image.

    Raises `empty-layer` if all its pixels are transparent, unless they may be; the picture is then black.
    """
    image, backdrop = over_paper(painted(layer, region.crop, region.inner))
    if backdrop is None and may_be_empty:
        backdrop = np.zeros(3, np.float32)
    if backdrop is None:
        raise VelaturaError(
            "empty-layer",
            "The layer is transparent here, so there is nothing to edit; choose a layer with paint.",
        )
    mask = selection.covered(region.crop, region.inner)
    return Seen(mirrored(image, region), mirrored(mask[..., None], region)[..., 0], backdrop)


def over_mean(paint: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Composites premultiplied colours and alpha [h, w, 4] over the mean colour of the visible pixels.

    Returns the picture [h, w, 3] in [0, 1] and that colour [3]; a black picture and None where no pixel is
    visible.
    """
    colours, alpha = paint[..., :3], paint[..., 3:]
    visible = float(alpha.sum(dtype=np.float64))
    if visible <= 0.0:
        return np.zeros_like(colours), None
    backdrop = (colours.sum(axis=(0, 1), dtype=np.float64) / visible).astype(np.float32)
    return over(paint, backdrop), backdrop


def over_paper(paint: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """`over_mean`, but paint of one colour lies on white, or on black where it is light."""
    image, mean = over_mean(paint)
    if mean is None or not _is_ink(paint, mean):
        return image, mean
    paper = np.full(3, float(mean @ _LUMA <= _LIGHT), np.float32)
    return over(paint, paper), paper


def over(paint: np.ndarray, backdrop: np.ndarray) -> np.ndarray:
    """Premultiplied colours and alpha [h, w, 4] over one colour [3], [h, w, 3] in [0, 1]."""
    return (paint[..., :3] + (1.0 - paint[..., 3:]) * backdrop).clip(0.0, 1.0)


def _is_ink(paint: np.ndarray, mean: np.ndarray) -> bool:
    """Whether premultiplied paint [h, w, 4] is of one colour, its mean [3], with transparency round it."""
    colours, alpha = paint[..., :3], paint[..., 3:]
    visible = float(alpha.sum(dtype=np.float64))
    if visible > (1.0 - _CLEAR) * alpha.size:
        return False
    # With c straight and C = a c premultiplied, a (c - m)^2 = (C - a m)^2 / a.
    off = np.square(colours - alpha * mean).sum(axis=-1, keepdims=True) / np.maximum(alpha, 1e-3)
    return float(off.sum(dtype=np.float64)) / (3.0 * visible) < _FLAT**2


def without_margins(picture: np.ndarray, region: Region) -> np.ndarray:
    """The crop's part [h, w, c] in [0, 1] of a picture of the model's size."""
    (top, left), (height, width) = region.offset, region.inner
    return np.asarray(picture, np.float32)[top : top + height, left : left + width].clip(0.0, 1.0)


class AtLayersSize:
    """The crop's picture, upsampled to the layer's scale band by band.

    Args:
        crop: the crop's picture, [h, w, c] in [0, 1]. Mostly it is at the model's scale.
        region: of the crop.
        bounds: the part of the layer that the bands lie in; they have its columns.
        flat: whether edges stay hard, so that no colour is mixed.
    """

    def __init__(self, crop: np.ndarray, region: Region, bounds: Box, *, flat: bool = False) -> None:
        size = region.crop.height, region.crop.width
        self._top, self._columns = region.crop.y0, bounds.moved(-region.crop.x0, -region.crop.y0).slices[1]
        if flat:
            self._rows = lambda rows: nearest(crop, size, rows=rows, columns=self._columns)
        else:
            self._rows = Resized(crop, size, columns=self._columns).rows

    def band(self, box: Box) -> np.ndarray:
        """A band of the bounds, in the layer's coordinates: [h, w, c] in [0, 1]."""
        return self._rows(slice(box.y0 - self._top, box.y1 - self._top)).clip(0.0, 1.0)


def flattened(layer: Layer, box: Box, backdrop: np.ndarray) -> np.ndarray:
    """The colours of a part of the layer over the backdrop, [h, w, 3], clipped to a display's range."""
    rgb, alpha = layer.encoding.decode(layer.at(box))
    alpha = alpha[..., None]
    return (rgb.clip(0.0, 1.0) * alpha + (1.0 - alpha) * backdrop).clip(0.0, 1.0)


def painted(layer: Layer, crop: Box, inner: tuple[int, int]) -> np.ndarray:
    """Premultiplied colours and alpha of a crop at another size `inner` (height, width), [h, w, 4].

    It is transparent where the crop reaches outside the layer. Premultiplied colours are averaged, so that
    hidden colours beneath alpha 0 do not bleed in. Large crops are first reduced by whole factors, band by
    band, so that there is never a float copy of the layer.
    """
    factor = max(1, min(crop.height // inner[0], crop.width // inner[1]) // 2)
    bands: list[np.ndarray] = []
    step = factor * max(1, _BAND // (factor * crop.width))
    for y in range(crop.y0, crop.y1, step):
        band = crop._replace(y0=y, y1=min(y + step, crop.y1))
        there = band.intersection(layer.box)
        rgb, alpha = layer.encoding.decode(layer.at(there))
        alpha = alpha[..., None]
        paint = np.concatenate([rgb.clip(0.0, 1.0) * alpha, alpha], axis=2)
        if there != band:
            around = np.zeros((band.height, band.width, 4), np.float32)
            around[there.moved(-band.x0, -band.y0).slices] = paint
            paint = around
        bands.append(reduced(paint, factor))
    return resize(np.concatenate(bands), inner, extent=(crop.height / factor, crop.width / factor))


def flattened_at(layer: Layer, box: Box, size: tuple[int, int], backdrop: np.ndarray) -> np.ndarray:
    """As `flattened`, at another size (height, width)."""
    paint = painted(layer, box, size)
    return (paint[..., :3] + (1.0 - paint[..., 3:]) * backdrop).clip(0.0, 1.0)


def reduced(picture: np.ndarray, factor: int) -> np.ndarray:
    """The means of blocks of factor x factor pixels; blocks at the end may be smaller."""
    if factor == 1:
        return picture
    for axis in (0, 1):
        starts = np.arange(0, picture.shape[axis], factor)
        counts = np.diff(starts, append=picture.shape[axis]).astype(np.float32)
        picture = np.add.reduceat(picture, starts, axis=axis)
        picture /= counts[:, None, None] if axis == 0 else counts[None, :, None]
    return picture


def mirrored(picture: np.ndarray, region: Region) -> np.ndarray:
    """A crop [h, w, C] at the model's scale, padded with its mirror image to the model's size."""
    pads = [(o, total - o - i) for o, total, i in zip(region.offset, region.outer, region.inner, strict=True)]
    return np.pad(picture, np.array([*pads, (0, 0)]), mode="symmetric")
