"""Packs pixels into a PNG file, fast: `velatura bench files` has the figures, DESIGN.md the choices.

The rows are split into bands, each of which is deflated by itself, so that they are packed in parallel and
a picture that shares bands with another takes them over. Joined they are one zlib stream (RFC 1950): each
ends on a byte (`Z_FULL_FLUSH`), an empty last block follows, and the check sums are combined.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np

from velatura.files.chunks import SIGNATURE

_BAND = 1 << 20  # bytes of pixels
_SAMPLE = 1 << 15  # bytes of a band from which its strategy is chosen
_WORSE = 1.02  # of two strategies the quicker is taken up to this ratio of sizes
_COLOUR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by channels, PNG third edition, table 9
_SUB = 1  # the filter: each byte minus that of the pixel to its left
_ADLER = 65521
_HEADER, _END = b"\x78\x01", b"\x03\x00"  # of zlib; an empty last block


class Band(NamedTuple):
    """A packed band. adler: the check sum of its filtered bytes. size: their number."""

    data: bytes
    adler: int
    size: int


class Bands:
    """The bands of the picture that was packed last; the next one takes over those with equal pixels."""

    def __init__(self) -> None:
        self._pixels: np.ndarray | None = None
        self._bands: list[Band] = []

    def packed(self, pixels: np.ndarray) -> list[Band]:
        """The bands of a picture, which must not change afterwards. pixels: as `png`."""
        height, rows = len(pixels), max(1, _BAND // max(1, pixels[:1].nbytes))
        before = self._pixels
        is_like = before is not None and (before.shape, before.dtype) == (pixels.shape, pixels.dtype)

        def one(number: int) -> Band:
            part = slice(number * rows, min(height, (number + 1) * rows))
            if is_like and before is not None and np.array_equal(before[part], pixels[part]):
                return self._bands[number]
            return _packed(pixels[part])

        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            bands = list(pool.map(one, range(-(-height // rows))))
        self._pixels, self._bands = pixels, bands
        return bands


def png(pixels: np.ndarray, bands: Bands | None = None, extra: Iterable[tuple[bytes, bytes]] = ()) -> bytes:
    """A PNG file of the pixels.

    Args:
        pixels: uint8 or uint16 [height, width, 1 to 4 channels]: grey, grey and alpha, RGB, RGBA.
        bands: of the picture that was packed before, where this one may share rows with it.
        extra: (type, data) of further chunks, which come before the pixels.
    """
    height, width, channels = pixels.shape
    packed = (bands or Bands()).packed(pixels)
    header = struct.pack(">IIBB3x", width, height, 8 * pixels.itemsize, _COLOUR_TYPES[channels])
    check = _END + struct.pack(">I", _adler(packed))
    pieces = [SIGNATURE, *_chunk(b"IHDR", header)]
    for kind, data in extra:
        pieces += _chunk(kind, data)
    pieces += _chunk(b"IDAT", _HEADER)
    for band in packed:
        pieces += _chunk(b"IDAT", band.data)
    return b"".join([*pieces, *_chunk(b"IDAT", check), *_chunk(b"IEND", b"")])


def _packed(pixels: np.ndarray) -> Band:
    height, _, channels = pixels.shape
    values = pixels.astype(pixels.dtype.newbyteorder(">"), order="C", copy=False)
    raw = np.ascontiguousarray(values).view(np.uint8).reshape(height, -1)
    step = channels * pixels.itemsize
    filtered = np.empty((height, raw.shape[1] + 1), np.uint8)
    filtered[:, 0] = _SUB
    filtered[:, 1 : 1 + step] = raw[:, :step]
    np.subtract(raw[:, step:], raw[:, :-step], out=filtered[:, 1 + step :])
    content = filtered.data.cast("B")
    start = max(0, (len(content) - _SAMPLE) // 2)
    sample = content[start : start + _SAMPLE]
    quick, thorough = (len(_deflated(sample, how)) for how in (zlib.Z_RLE, zlib.Z_DEFAULT_STRATEGY))
    strategy = zlib.Z_RLE if quick <= _WORSE * thorough else zlib.Z_DEFAULT_STRATEGY
    return Band(_deflated(content, strategy), zlib.adler32(content), len(content))


def _deflated(content: memoryview, strategy: int) -> bytes:
    """Raw deflate (RFC 1951) that ends on a byte, and not with a last block."""
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS, zlib.DEF_MEM_LEVEL, strategy)
    return packer.compress(content) + packer.flush(zlib.Z_FULL_FLUSH)


def _adler(bands: Iterable[Band]) -> int:
    """The check sum of all bands together (RFC 1950, section 8.2), from those of each."""
    a, b = 1, 0
    for band in bands:
        low, high = band.adler & 0xFFFF, band.adler >> 16
        a, b = (a + low - 1) % _ADLER, (b + high + band.size * (a - 1)) % _ADLER
    return b << 16 | a


def _chunk(kind: bytes, data: bytes) -> tuple[bytes, bytes, bytes]:
    """The pieces of a chunk."""
    check = zlib.crc32(data, zlib.crc32(kind))
    return struct.pack(">I", len(data)) + kind, data, struct.pack(">I", check)
