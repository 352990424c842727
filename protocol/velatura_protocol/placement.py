"""How a picture was cropped, scaled, turned, mirrored or moved while an edit of it ran.

No host reports such changes. At the capture a host makes a `Sketch` of the layer: small runs of its pixels
with their places, and coarse colours. When the result is here, `recognise` finds the runs again in the
present layer, and gives the `Placement` that brings the result to the same place of the picture.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from .messages import Bytes
from .rasters import Rect
from .reading import as_integer, as_list, as_object

RUN = 16  #: pixels of one patch, side by side
RICH = 4  #: different pixels that a patch must have, so that it is not found everywhere
ZONES = 5  #: along each side; each gives one patch
TRIES = 3  #: patches that are compared along each side of a zone
CELLS = 6  #: coarse colours along each side
PROBES = 6  #: pixels along each side of a cell whose mean is its colour
ENOUGH = 0.6  #: share of the patches that must be in their places: the rest may have been painted over
ALIKE = 0.9  #: correlation of the coarse colours from which a picture counts as scaled
BAND = 1 << 22  #: bytes that are searched in one turn

#: Reads the present pixels of x, y, width, height, rows from the top; clear outside the layer.
Read: TypeAlias = "Callable[[int, int, int, int], Bytes]"


@dataclass(frozen=True, slots=True)
class Placement:
    """The change of a picture: it is mirrored, then turned, then scaled, then shifted.

    Attributes:
        canvas: width and height of the picture before the change.
        is_mirrored: left and right were exchanged.
        turns: quarter turns clockwise, 0 ... 3.
        scale: factors along x and y, after the turn.
        shift: pixels along x and y, after the scaling.
    """

    canvas: tuple[int, int]
    is_mirrored: bool = False
    turns: int = 0
    scale: tuple[float, float] = (1.0, 1.0)
    shift: tuple[int, int] = (0, 0)

    @property
    def is_identity(self) -> bool:
        return self == Placement(self.canvas)

    @property
    def is_turned(self) -> bool:
        """Whether pixels change their order: see `oriented`."""
        return self.is_mirrored or self.turns != 0

    @property
    def is_scaled(self) -> bool:
        return self.scale != (1.0, 1.0)

    def turned(self, rect: Rect) -> Rect:
        """The place of a rectangle before scaling and shift."""
        x, y, width, height = rect
        across, down = self.canvas
        if self.is_mirrored:
            x = across - x - width
        for _ in range(self.turns):
            x, y, width, height = down - y - height, x, height, width
            across, down = down, across
        return x, y, width, height

    def rect(self, rect: Rect) -> Rect:
        """The present place of a rectangle of the former picture, rounded to whole pixels."""
        x, y, width, height = self.turned(rect)
        (across, down), (dx, dy) = self.scale, self.shift
        left, top = round(x * across), round(y * down)
        right, bottom = round((x + width) * across), round((y + height) * down)
        return left + dx, top + dy, max(1, right - left), max(1, bottom - top)

    def oriented(self, data: Bytes, width: int, height: int, size: int) -> bytes:
        """The pixels of a rectangle, mirrored and turned. size: bytes of a pixel."""
        if not self.is_turned:
            return bytes(data)
        rows = _rows(data, width, size)
        if self.is_mirrored:
            rows = [row[::-1] for row in rows]
        for _ in range(self.turns):
            rows = [list(column) for column in zip(*reversed(rows), strict=True)]
        return b"".join(b"".join(row) for row in rows)


@dataclass(frozen=True, slots=True)
class Sketch:
    """A layer as it was captured, in less than twenty kilobytes.

    Attributes:
        canvas: width and height of the picture.
        bounds: of the layer; may reach outside the canvas.
        size: bytes of a pixel.
        patches: (x, y, bytes): runs of pixels of one row, in pixels of the picture.
        cells: coarse colours of the bounds, row by row.
    """

    canvas: tuple[int, int]
    bounds: Rect
    size: int
    patches: tuple[tuple[int, int, bytes], ...] = ()
    cells: tuple[float, ...] = ()

    def to_json(self) -> dict[str, object]:
        """The object that `from_json` reads."""
        return {
            "canvas": list(self.canvas),
            "bounds": list(self.bounds),
            "size": self.size,
            "patches": [[x, y, run.hex()] for x, y, run in self.patches],
            "cells": [round(value, 2) for value in self.cells],
        }

    @classmethod
    def from_json(cls, value: object) -> Sketch | None:
        """Reads a sketch; None for anything else."""
        d: Mapping[str, object] = as_object(value) or {}
        canvas, bounds = _integers(d.get("canvas"), 2), _integers(d.get("bounds"), 4)
        size = as_integer(d.get("size"), 1, 64)
        if canvas is None or bounds is None or size is None:
            return None
        patches: list[tuple[int, int, bytes]] = []
        for entry in as_list(d.get("patches")) or ():
            patch = as_list(entry) or ()
            place = _integers(list(patch[:2]), 2)
            run = patch[2] if len(patch) == 3 else None
            if place is None or not isinstance(run, str):
                return None
            try:
                patches.append((place[0], place[1], bytes.fromhex(run)))
            except ValueError:
                return None
        given = as_list(d.get("cells")) or ()
        cells = tuple(float(value) for value in given if isinstance(value, int | float))
        made = (canvas[0], canvas[1]), (bounds[0], bounds[1], bounds[2], bounds[3])
        return cls(*made, size, tuple(patches), cells)


def sketch(canvas: tuple[int, int], bounds: Rect, size: int, sample: int, within: Rect, read: Read) -> Sketch:
    """The sketch of a layer that is captured.

    Args:
        canvas: width and height of the picture.
        bounds: of the layer.
        size: bytes of a pixel.
        sample: bytes of one channel of a pixel.
        within: the part of the layer that may be looked at, inside the canvas.
        read: reads its pixels.
    """
    left, top, width, height = within
    if width < 1 or height < 1:
        return Sketch(canvas, bounds, size)
    run = min(RUN, width)
    richest: dict[tuple[int, int], tuple[int, int, int, bytes]] = {}  # of each zone
    for j in range(ZONES * TRIES):
        y = top + (2 * j + 1) * height // (2 * ZONES * TRIES)
        for i in range(ZONES * TRIES):
            x = left + i * (width - run) // (ZONES * TRIES - 1)
            pixels = bytes(read(x, y, run, 1))
            different = len(set(_rows(pixels, run, size)[0]))
            zone = i // TRIES, j // TRIES
            if different >= RICH and (zone not in richest or different > richest[zone][0]):
                richest[zone] = different, x, y, pixels
    patches = tuple((x, y, pixels) for _, x, y, pixels in richest.values())
    return Sketch(canvas, bounds, size, patches, coarse(bounds, size, sample, read))


def coarse(bounds: Rect, size: int, sample: int, read: Read) -> tuple[float, ...]:
    """The mean of each channel in each of `CELLS` x `CELLS` cells of a rectangle, 0 ... 256, of integer and
    of float samples: the two upper bytes are enough to compare by."""
    x, y, width, height = bounds
    if width < 1 or height < 1:
        return ()
    number = CELLS * PROBES
    columns = [(2 * i + 1) * width // (2 * number) for i in range(number)]
    channels = size // sample
    sums = [0.0] * (CELLS * CELLS * channels)
    for j in range(number):
        row = bytes(read(x, y + (2 * j + 1) * height // (2 * number), width, 1))
        for i, column in enumerate(columns):
            cell = (j // PROBES * CELLS + i // PROBES) * channels
            for channel in range(channels):
                end = column * size + (channel + 1) * sample
                low = row[end - 2] / 256 if sample > 1 else 0.0
                sums[cell + channel] += row[end - 1] + low
    return tuple(total / PROBES**2 for total in sums)


def recognise(
    before: Sketch, sample: int, canvas: tuple[int, int], bounds: Rect, read: Read
) -> Generator[None, None, Placement | None]:
    """The change since the sketch; None where it cannot be told. Yields between two bands of reading.

    A layer that lies where it lay, in a picture of the same size, has not moved, whatever was painted on it.

    Args:
        before: the sketch.
        sample: bytes of one channel of a pixel.
        canvas: the present size.
        bounds: of the layer, at present.
        read: reads the layer's present pixels.
    """
    stays = Placement(before.canvas)
    if canvas == before.canvas and bounds == before.bounds and not before.patches:
        return stays
    for candidate in _candidates(before, canvas, bounds):
        if _agrees(before, candidate, canvas, read):
            return candidate
    yield
    if canvas == before.canvas and bounds == before.bounds:
        return stays
    for found in _search(before, bounds, read):
        if found is not None and _agrees(before, found, canvas, read):
            return found
        yield
    across, down = canvas[0] / before.canvas[0], canvas[1] / before.canvas[1]
    scaled = Placement(before.canvas, scale=(across, down))
    fits = all(abs(a - b) <= 2 for a, b in zip(scaled.rect(before.bounds), bounds, strict=True))
    if canvas == before.canvas or not fits:
        return None
    is_alike = _correlation(before.cells, coarse(bounds, before.size, sample, read)) >= ALIKE
    return scaled if is_alike else None


def _candidates(before: Sketch, canvas: tuple[int, int], bounds: Rect) -> Iterator[Placement]:
    """Placements that the sizes alone allow, the likeliest first."""
    yield Placement(before.canvas)
    across, down = before.canvas
    for turns in range(4):
        for is_mirrored in (False, True):
            if canvas == ((down, across) if turns % 2 else (across, down)):
                yield Placement(before.canvas, is_mirrored, turns)
    old, new = before.bounds, bounds
    yield Placement(before.canvas, shift=(new[0] - old[0], new[1] - old[1]))
    right, bottom = new[0] + new[2] - old[0] - old[2], new[1] + new[3] - old[1] - old[3]
    yield Placement(before.canvas, shift=(right, bottom))


def _agrees(before: Sketch, placement: Placement, canvas: tuple[int, int], read: Read) -> bool:
    """Whether enough patches are in their places. A layer of one colour has none: then its bounds count."""
    inside = hits = 0
    for x, y, run in before.patches:
        count = len(run) // before.size
        rect = placement.rect((x, y, count, 1))
        if rect[0] < 0 or rect[1] < 0 or rect[0] + rect[2] > canvas[0] or rect[1] + rect[3] > canvas[1]:
            continue  # cut off
        inside += 1
        hits += bytes(read(*rect)) == placement.oriented(run, count, 1, before.size)
    return hits >= ENOUGH * inside and inside >= min(2, len(before.patches)) and hits > 0


def _search(before: Sketch, bounds: Rect, read: Read) -> Iterator[Placement | None]:
    """Looks for the patches anywhere in the present layer, band by band."""
    x, y, width, height = bounds
    stride = width * before.size
    if width < 1 or height < 1:
        return
    rows = max(1, BAND // stride)
    for top in range(y, y + height, rows):
        band = bytes(read(x, top, width, min(rows, y + height - top)))
        for left, line, run in before.patches:
            at = band.find(run)
            while at >= 0 and (at % before.size or at % stride + len(run) > stride):
                at = band.find(run, at + 1)
            if at >= 0:
                shift = x + at % stride // before.size - left, top + at // stride - line
                yield Placement(before.canvas, shift=shift)
        yield None


def _correlation(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    """Pearson's; 0 where either has no spread."""
    if len(a) != len(b) or not a:
        return 0.0
    mean_a, mean_b = sum(a) / len(a), sum(b) / len(b)
    both = sum((x - mean_a) * (y - mean_b) for x, y in zip(a, b, strict=True))
    own = sum((x - mean_a) ** 2 for x in a) * sum((y - mean_b) ** 2 for y in b)
    return both / own**0.5 if own > 0 else 0.0


def _rows(data: Bytes, width: int, size: int) -> list[list[bytes]]:
    """Pixels by rows."""
    whole, stride = bytes(data), width * size
    starts = range(0, len(whole), stride)
    return [[whole[i : i + size] for i in range(at, at + stride, size)] for at in starts]


def _integers(value: object, count: int) -> list[int] | None:
    given = as_list(value)
    if given is None or len(given) != count:
        return None
    numbers = [number for number in given if type(number) is int]
    return numbers if len(numbers) == count else None
