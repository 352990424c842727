"""The chunks of a PNG file (W3C PNG, third edition, section 5) that define its colours."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

SIGNATURE = b"\x89PNG\r\n\x1a\n"
# The chunks that a result takes over: its colour space and its resolution.
KEPT = (b"cICP", b"iCCP", b"sRGB", b"gAMA", b"cHRM", b"pHYs")
MAX_ICC = 16 * 1024 * 1024


class BrokenPng(ValueError):
    """The chunks are cut short or invalid."""


@dataclass(frozen=True)
class Header:
    """Size in pixels, depth in bits per channel, and whether the rows are interlaced."""

    width: int
    height: int
    depth: int
    is_interlaced: bool


def walk(content: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yield (type, data) of every chunk up to IEND; raises BrokenPng."""
    at = len(SIGNATURE)
    while at + 12 <= len(content):
        size, kind = struct.unpack_from(">I4s", content, at)
        data = content[at + 8 : at + 8 + size]
        if len(data) < size:
            break
        yield kind, data
        if kind == b"IEND":
            return
        at += 12 + size
    raise BrokenPng("the chunks end before IEND")


def read_header(content: bytes) -> Header:
    """Read IHDR; raises BrokenPng."""
    kind, data = next(walk(content))
    if kind != b"IHDR" or len(data) != 13:
        raise BrokenPng("the first chunk is no IHDR")
    width, height, depth = struct.unpack_from(">IIB", data)
    return Header(width, height, depth, data[12] != 0)


def colour_chunks(content: bytes) -> tuple[tuple[bytes, bytes], ...]:
    """Return the chunks of KEPT that precede the pixels, each once; raises BrokenPng."""
    chunks: dict[bytes, bytes] = {}
    for kind, data in walk(content):
        if kind == b"IDAT":
            break
        if kind in KEPT:
            chunks.setdefault(kind, data)
    return tuple(chunks.items())


def icc_of(data: bytes) -> bytes:
    """Return the ICC profile in the data of an iCCP chunk; raises BrokenPng."""
    name, separator, rest = data.partition(b"\0")
    if not separator or len(name) > 79 or rest[:1] != b"\0":
        raise BrokenPng("the iCCP chunk is invalid")
    inflate = zlib.decompressobj()
    try:
        icc = inflate.decompress(rest[1:], MAX_ICC)
    except zlib.error as error:
        raise BrokenPng("the iCCP chunk cannot be inflated") from error
    if inflate.unconsumed_tail or not inflate.eof:
        raise BrokenPng("the iCCP chunk is cut short or too large")
    return icc


def icc_chunk(icc: bytes) -> tuple[bytes, bytes]:
    """Return an iCCP chunk of the ICC profile."""
    return b"iCCP", b"icc\0\0" + zlib.compress(icc, 9)


def bare(content: bytes) -> bytes:
    """Return the PNG file with the chunks alone that its pixels need; raises BrokenPng.

    libpng writes a line to standard error for every other chunk that it does not like.
    """
    needed = (pair for pair in walk(content) if pair[0][:1].isupper() or pair[0] == b"tRNS")
    return insert(content[:8], tuple(needed))


def insert(png: bytes | bytearray, chunks: tuple[tuple[bytes, bytes], ...]) -> bytes:
    """Return the PNG file with the chunks inserted after its IHDR."""
    at = len(SIGNATURE) + 25
    made = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    return b"".join((png[:at], made, png[at:]))
