"""Writes PNG files: pixels at their own depth, with the chunks that define their colours."""

from __future__ import annotations

from pathlib import Path

from velatura.files import chunks, colour
from velatura.files.atomic import replacing
from velatura.files.composite import over
from velatura.files.images import Chunks, Image, Layer
from velatura.files.png_pixels import Bands, png
from velatura.files.recipes import text_chunk


def encode(
    image: Image, always_profile: bool = False, extra: Chunks = (), bands: Bands | None = None
) -> bytes:
    """Return the picture as a PNG file of the same depth.

    The file has the colour chunks of the file that the picture comes from, which may be none. With
    `always_profile` it always has an ICC profile: some readers take 16 bits without one for linear light.
    `extra` are further chunks. `bands` are those of a picture that shares rows with this one.
    """
    kept = image.colour_chunks
    names = {kind for kind, _ in kept}
    defined = names & {b"cICP", b"iCCP", *(() if always_profile else (b"gAMA", b"cHRM"))}
    if image.icc and not defined:
        kept = (*kept, chunks.icc_chunk(image.icc))
    elif always_profile and not names & {b"iCCP", b"cICP"}:
        icc = colour.icc_of(image, gray=image.channels[0] == "G")
        kept = (*((k, d) for k, d in kept if k != b"sRGB"), chunks.icc_chunk(icc))
    return png(image.pixels, bands, (*kept, *extra))


def write_png(path: Path, source: Image, layer: Layer) -> None:
    """Write `source` with `layer` over it at the source's depth; the file appears complete or not at all.

    It holds the source's metadata and the layer's recipe (see `velatura.files.recipes`). Raises OSError.
    """
    content = encode(over(source, layer), extra=(*source.metadata, text_chunk(layer)))
    with replacing(path) as stream:
        stream.write(content)
