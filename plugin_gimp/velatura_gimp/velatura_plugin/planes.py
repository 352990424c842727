"""A result raster taken apart: colours that are opaque where the selection reaches, and the layer mask.

The raster's alpha is the selection. It becomes the layer mask byte for byte; the layer's own alpha becomes
full wherever the mask is not zero, and stays zero elsewhere, where the raster has no colours. So layer
times mask shows exactly the raster, and the person can edit the mask.
"""

from __future__ import annotations

SIZES = {"u8": 1, "u16": 2, "f16": 2, "f32": 4}

#: One, or the maximum, in each type, little-endian.
FULL = {"u8": b"\xff", "u16": b"\xff\xff", "f16": b"\x00\x3c", "f32": b"\x00\x00\x80\x3f"}

_ANY_BIT = bytes([0]) + bytes([255]) * 255


def split(data: bytes | bytearray, channels: int, dtype: str) -> tuple[bytearray, bytearray]:
    """Takes a raster of `channels` channels, alpha last, apart.

    data: straight alpha, rows without padding, little-endian `dtype`. Returns the raster with its alpha made
    full where it was not zero, and the alpha alone, both in `dtype`.
    """
    size = SIZES[dtype]
    stride = channels * size
    first = stride - size
    mask = alpha(data, channels, dtype)
    colours = bytearray(data)
    touched = 0
    for byte in range(size):
        touched |= int.from_bytes(mask[byte::size].translate(_ANY_BIT), "little")
    reached = touched.to_bytes(len(mask) // size, "little")
    for byte, full in enumerate(FULL[dtype]):
        colours[first + byte :: stride] = reached.translate(bytes([0]) * 255 + bytes([full]))
    return colours, mask


def alpha(data: bytes, channels: int, dtype: str) -> bytearray:
    """The last channel alone."""
    size = SIZES[dtype]
    values = bytearray(len(data) // channels)
    for byte in range(size):
        values[byte::size] = data[(channels - 1) * size + byte :: channels * size]
    return values
