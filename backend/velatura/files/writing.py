"""Writes a result's picture in the format that its file's name asks for.

.ora     the source and every layer
.psd     the same, for Photoshop and others
.png     the source with the best layer over it, at its own depth; so do .tif, .tiff and .exr
.jpg     the same at 8 bits and with loss; .webp at 8 bits without loss
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from velatura.colour import LINEAR
from velatura.files import exr, lossy, metadata, psd, recipes, tiff, xmp
from velatura.files.atomic import replacing
from velatura.files.composite import over
from velatura.files.depths import full_of
from velatura.files.images import Image, Layer
from velatura.files.ora import write_ora
from velatura.files.png import write_png
from velatura_protocol.errors import VelaturaError

LAYERED = (".ora", ".psd")
FLAT = (".png", ".tif", ".tiff", ".exr", ".jpg", ".jpeg", ".webp")
ENDINGS = (*LAYERED, *FLAT)
NAMES = ".ora, .psd, .png, .tif, .exr, .jpg or .webp"  #: for a person
_FLOATS = (".exr", ".tif", ".tiff", ".psd")
_BY_PROFILE = (".psd", ".tif", ".tiff", ".jpg", ".jpeg", ".webp")  #: they say colours by an ICC profile only
_MOST_XMP = 60_000  # bytes of a packet in a JPEG, which has one segment of 65,533 for it


def check(path: Path, source: Image) -> None:
    """Raise `bad-request` for a format that cannot hold the source's pixels, with one that can."""
    ending, name = path.suffix.lower(), str(path)
    is_float = source.pixels.dtype.kind == "f"
    if is_float and ending not in _FLOATS:
        sentence = f"{name} cannot hold the floats of the picture; give the result a name in .tif or .exr."
        raise VelaturaError("bad-request", sentence)
    if ending == ".psd" and source.dtype == "f16":
        raise VelaturaError("bad-request", f"{name} cannot hold floats of 16 bits; write .tif or .exr.")
    if ending == ".exr" and not is_float:
        sentence = f"{name} would hold floats, and the picture has whole numbers; write .png or .tif."
        raise VelaturaError("bad-request", sentence)
    if ending in _BY_PROFILE and source.space.bright and not source.icc:
        sentence = f"{name} cannot say that the picture is HDR (PQ or HLG); write .png."
        raise VelaturaError("bad-request", sentence)
    if ending == ".exr" and source.space is not LINEAR and b"cHRM" not in dict(source.colour_chunks):
        sentence = f"{name} would hold linear light, and the picture has a curve of its own; write .tif."
        raise VelaturaError("bad-request", sentence)
    if ending in (".jpg", ".jpeg") and _is_transparent(source):
        sentence = f"{name} cannot hold the picture's transparency; write .png or .webp."
        raise VelaturaError("bad-request", sentence)
    if ending == ".webp" and max(source.width, source.height) > lossy.MAX_WEBP:
        sentence = f"A WebP has at most {lossy.MAX_WEBP} pixels a side; write .png or .tif."
        raise VelaturaError("bad-request", sentence)


def caution(path: Path, source: Image) -> str:
    """A sentence about what the format of a written file loses; '' where it loses nothing."""
    ending = path.suffix.lower()
    deep = "the picture's 16 bits became 8" if source.dtype == "u16" else ""
    if ending in (".jpg", ".jpeg"):
        more = f", and {deep}" if deep else ""
        return f"A JPEG loses a little of every pixel{more}; keep a PNG, TIFF or ORA to work on."
    if ending == ".webp" and deep:
        return f"In the WebP {deep}; keep a PNG, TIFF or ORA to work on."
    return ""


def write(path: Path, source: Image, layers: Sequence[Layer], title: str) -> None:
    """Write a result; the file appears complete or not at all. layers: the best first.

    Raises OSError, and VelaturaError `too-large` for a TIFF beyond 4 GiB.
    """
    ending = path.suffix.lower()
    if ending == ".ora":
        write_ora(path, source, layers, title)
    elif ending == ".png":
        write_png(path, source, layers[0])
    else:
        content = _WRITERS[ending](path, source, layers, title)
        with replacing(path) as stream:
            stream.write(content)


def _is_transparent(source: Image) -> bool:
    full = full_of(source.pixels.dtype)
    return source.channels.endswith("A") and bool((source.pixels[..., -1] != full).any())


def _psd(_path: Path, source: Image, layers: Sequence[Layer], title: str) -> bytes:
    named = [(layer.title, layer) for layer in layers]
    return psd.write(source, layers, title, _packet(source, recipes.pack(named)))


def _tiff(path: Path, source: Image, layers: Sequence[Layer], _title: str) -> bytes:
    return tiff.write(path, over(source, layers[0]), _packet(source, _recipe(layers[0])))


def _exr(_path: Path, source: Image, layers: Sequence[Layer], _title: str) -> bytes:
    return exr.write(over(source, layers[0]), _recipe(layers[0]))


def _jpeg(_path: Path, source: Image, layers: Sequence[Layer], _title: str) -> bytes:
    packet = _packet(source, _recipe(layers[0]))
    if len(packet) > _MOST_XMP:
        packet = xmp.with_recipes(b"", _recipe(layers[0]))
    return lossy.jpeg(over(source, layers[0]), packet)


def _webp(_path: Path, source: Image, layers: Sequence[Layer], _title: str) -> bytes:
    return lossy.webp(over(source, layers[0]), _packet(source, _recipe(layers[0])))


def _recipe(layer: Layer) -> bytes:
    return recipes.pack([(recipes.FLAT, layer)])


def _packet(source: Image, text: bytes) -> bytes:
    return xmp.with_recipes(metadata.xmp_of(source.metadata), text)


_WRITERS: dict[str, Callable[[Path, Image, Sequence[Layer], str], bytes]] = {
    ".psd": _psd,
    ".tif": _tiff,
    ".tiff": _tiff,
    ".exr": _exr,
    ".jpg": _jpeg,
    ".jpeg": _jpeg,
    ".webp": _webp,
}
