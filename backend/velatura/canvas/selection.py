"""A layer and the selection on it, as views of the bytes that a host has sent."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from velatura.colour import Tone
from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Bytes, Raster

from .colour import Encoding, fractions, quantise, view
from .geometry import Box

_BAND = 1 << 22
_TONED_BAND = 1 << 18


@dataclass(frozen=True)
class Layer:
    """A host's layer, of which a part may be there.

    Args:
        pixels: native [height, width, channels] of the part, a view.
        encoding: of the pixels.
        origin: (x, y) of the layer's upper left corner in the document.
        whole: (left, top, height, width): the part's corner in the layer, and the layer's size. None where
            the pixels are the whole layer.
    """

    pixels: np.ndarray
    encoding: Encoding
    origin: tuple[int, int]
    whole: tuple[int, int, int, int] | None = None

    @classmethod
    def of(cls, raster: Raster, data: Bytes, icc: bytes = b"") -> Layer:
        """The layer of a raster, its blob and its ICC profile. Raises `unsupported-colour`, `bad-layer`."""
        encoding, pixels = Encoding.of(raster, icc), view(raster, data)
        if raster.whole is None:
            return cls(pixels, encoding, raster.rect[:2])
        x, y, width, height = raster.whole
        whole = raster.rect[0] - x, raster.rect[1] - y, height, width
        return cls(pixels, encoding, (x, y), whole)

    @property
    def box(self) -> Box:
        """The layer in its own coordinates."""
        height, width = self.pixels.shape[:2] if self.whole is None else self.whole[2:]
        return Box(0, 0, width, height)

    @property
    def part(self) -> Box:
        """The part whose pixels are there."""
        left, top = (0, 0) if self.whole is None else self.whole[:2]
        return Box(0, 0, self.pixels.shape[1], self.pixels.shape[0]).moved(left, top)

    def at(self, box: Box) -> np.ndarray:
        """The native pixels [h, w, channels] in a box within the part, a view."""
        part = self.part
        rows, columns = box.moved(-part.x0, -part.y0).slices
        return self.pixels[rows, columns]

    def need(self, box: Box) -> None:
        """Raises `bad-layer` where pixels of the box are not there."""
        if box.intersection(self.part) != box:
            raise VelaturaError(
                "bad-layer",
                "Too small a part of the layer was sent for this edit; update the plugin, then run again.",
                detail=f"{box} needed, {self.part} sent",
            )

    def toned(self, part: Box) -> Layer:
        """The layer with the curve for the brightest light in this part of it; see `velatura.colour.tone`."""
        peak = 1.0
        for band in part.intersection(self.box).bands(_TONED_BAND):
            peak = max(peak, self.encoding.peak(self.at(band)))
        return replace(self, encoding=replace(self.encoding, tone=Tone.of(peak)))


@dataclass(frozen=True)
class Selection:
    """The part of a layer to edit, as soft values. All coordinates are the layer's.

    values: native [h, w] of the mask's raster, or None for the whole layer. place: the raster's box, which
    may reach outside the layer. bounds: the smallest box within the layer that holds all selected pixels.
    """

    values: np.ndarray | None
    place: Box
    bounds: Box

    @classmethod
    def of(cls, raster: Raster | None, data: Bytes, layer: Layer) -> Selection:
        """The selection of a mask's raster and its blob; the whole layer where the raster is None.

        Raises `empty-mask`, `mask-outside`, `bad-layer`.
        """
        if raster is None:
            layer.need(layer.box)
            return cls(None, layer.box, layer.box)
        values = view(raster, data)[..., 0]
        x, y = raster.rect[0] - layer.origin[0], raster.rect[1] - layer.origin[1]
        place = Box(x, y, x + raster.width, y + raster.height)
        inside = place.intersection(layer.box)
        bounds = _bounds(values, inside.moved(-x, -y))
        if bounds is None:
            if _bounds(values, Box(0, 0, raster.width, raster.height)) is None:
                raise VelaturaError(
                    "empty-mask", "Nothing is selected; select a part of the layer and try again."
                )
            raise VelaturaError(
                "mask-outside", "The selection does not touch the layer; select a part of it."
            )
        return cls(values, place, bounds.moved(x, y))

    def whole(self) -> Selection:
        """The selection with every selected pixel selected wholly."""
        if self.values is None:
            return self
        top = np.iinfo(self.values.dtype).max if self.values.dtype.kind == "u" else 1.0
        values = np.where(
            self.values > 0, np.asarray(top, self.values.dtype), np.zeros((), self.values.dtype)
        )
        return replace(self, values=values)

    @classmethod
    def everything(cls, layer: Layer) -> Selection:
        """The whole layer as a selection of its own: a result is opaque even where the layer is not."""
        values = np.broadcast_to(np.uint8(255), (layer.box.height, layer.box.width))
        return cls(values, layer.box, layer.box)

    def inverted(self, layer: Layer) -> Selection:
        """The rest of the layer: the largest value minus each. Raises `empty-mask` where nothing is left, and
        `bad-layer` where a part of the layer is not there."""
        layer.need(layer.box)
        values = self.window(layer.box)
        most = np.iinfo(values.dtype).max if values.dtype.kind == "u" else values.dtype.type(1)
        values = np.clip(values, 0, most) if values.dtype.kind == "f" else values
        rest = most - values
        bounds = _bounds(rest, layer.box)
        if bounds is None:
            raise VelaturaError(
                "empty-mask",
                "The selection covers the whole layer; leave a part of it out, to change that part.",
            )
        return Selection(rest, layer.box, bounds)

    def window(self, box: Box) -> np.ndarray:
        """The native values [h, w] in a box; 0 outside the raster."""
        if self.values is None:
            return np.full((box.height, box.width), 255, np.uint8)
        out = np.zeros((box.height, box.width), self.values.dtype)
        common = box.intersection(self.place)
        rows, columns = common.moved(-self.place.x0, -self.place.y0).slices
        out[common.moved(-box.x0, -box.y0).slices] = self.values[rows, columns]
        return out

    def alpha(self, box: Box, layer: Layer) -> np.ndarray:
        """The alpha of a result [h, w] in the layer's own dtype.

        It is the selection, rounded where the dtypes differ; without a selection, the layer's own alpha.
        """
        encoding = layer.encoding
        if self.values is not None:
            values = self.window(box)
            if values.dtype.kind == "u" and values.dtype == layer.pixels.dtype:
                return values
            return quantise(fractions(values), encoding.dtype)
        if encoding.has_alpha:
            return layer.at(box)[..., encoding.channels.index("A")]
        return quantise(np.ones((box.height, box.width), np.float32), encoding.dtype)

    def covered(self, box: Box, size: tuple[int, int]) -> np.ndarray:
        """The selection in a box at another size, float32 [height, width] in [0, 1].

        Each pixel is the maximum of those it touches, so that thin lines survive any downsampling.
        """
        tops, bottoms = _touched(box.height, size[0])
        lefts, rights = _touched(box.width, size[1])
        out = np.empty(size, np.float32)
        for i, (top, bottom) in enumerate(zip(tops, bottoms, strict=True)):
            band = self.window(box._replace(y0=box.y0 + top, y1=box.y0 + bottom))
            row = np.append(fractions(np.fmax.reduce(band, axis=0)), np.float32(0.0))
            out[i] = np.maximum.reduceat(row, np.stack([lefts, rights], axis=1).ravel())[::2]
        return out


def _touched(n_in: int, n_out: int) -> tuple[np.ndarray, np.ndarray]:
    """The first input that each output touches, and the one after the last."""
    edges = np.arange(n_out + 1) * n_in
    return edges[:-1] // n_out, -(-edges[1:] // n_out)


def _bounds(values: np.ndarray, box: Box) -> Box | None:
    """The smallest box within `box` that holds every value above 0."""
    columns = np.zeros(box.width, bool)
    rows = np.zeros(box.height, bool)
    for band in box.bands(_BAND):
        selected = values[band.slices] > 0
        columns |= selected.any(axis=0)
        rows[band.y0 - box.y0 : band.y1 - box.y0] = selected.any(axis=1)
    if not rows.any():
        return None
    (x,), (y,) = np.nonzero(columns), np.nonzero(rows)
    return Box(int(x[0]), int(y[0]), int(x[-1]) + 1, int(y[-1]) + 1).moved(box.x0, box.y0)
