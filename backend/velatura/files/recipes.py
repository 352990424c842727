"""The recipes of a result's layers in its file.

A PNG has them in a chunk `iTXt`, an OpenRaster file as a part, an OpenEXR file in its header, and PSD, TIFF,
JPEG and WebP in their XMP packet (see `xmp`). All hold the same JSON:

    {"version": 1,
     "layers": {name: recipe},                      SPEC section 5
     "results": {name: {"title", "digest"}}}        the layer's name for a person; the digest of its pixels

In OpenRaster `name` is the layer's file, in a flat picture it is `result`. The digest is that of the pixels
as the daemon sent them, so that a later run can be compared with them, whatever was painted since.
"""

from __future__ import annotations

import io
import json
import struct
import warnings
import zipfile
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tifffile
from PIL import Image as Pillow
from PIL import UnidentifiedImageError

from velatura.files import archives, chunks, exr, psd, tiff, xmp
from velatura.files.atomic import read_bytes
from velatura.files.images import Layer
from velatura_protocol.errors import VelaturaError
from velatura_protocol.reading import as_object, text_of

PART = "velatura/recipes.json"
FLAT = "result"
VERSION = 1
MAX_TEXT = 16 * 1024 * 1024
_KEYWORD = b"velatura"
BROKEN = (
    OSError, ValueError, LookupError, TypeError, RuntimeError, struct.error, zlib.error, zipfile.BadZipFile,
    tifffile.TiffFileError, SyntaxError,
)  # fmt: skip


@dataclass(frozen=True)
class Made:
    """A layer of a result, as its file tells of it.

    Attributes:
        name: the layer's file in OpenRaster, or `FLAT`.
        title: for a person; '' where the file has none.
        digest: of its pixels as they were made; '' where the file has none.
        recipe: JSON, unchecked (`velatura_protocol.requests.Recipe` reads it).
    """

    name: str
    title: str
    digest: str
    recipe: dict[str, Any]


def pack(layers: Sequence[tuple[str, Layer]]) -> bytes:
    """The JSON of these layers, each with its name in the file."""
    about = {name: {"title": layer.title, "digest": layer.digest} for name, layer in layers}
    recipes = {name: layer.recipe for name, layer in layers}
    return json.dumps({"version": VERSION, "layers": recipes, "results": about}, indent=1).encode("ascii")


def text_chunk(layer: Layer) -> tuple[bytes, bytes]:
    """The `iTXt` chunk (W3C PNG, section 11.3.3.4) of a flat picture with this layer, compressed."""
    return b"iTXt", _KEYWORD + b"\0\1\0\0\0" + zlib.compress(pack([(FLAT, layer)]), 9)


def read_recipes(path: Path) -> list[Made]:
    """The layers of a result's file, the topmost first.

    Raises VelaturaError `bad-request` for a file that is missing, broken or holds no recipe.
    """
    content = read_bytes(path)
    try:
        text = _text_of(content)
        layers = _unpacked(text) if text else []
    except BROKEN as error:
        raise VelaturaError(
            "bad-request",
            f"The recipe in {path.name} is broken; make the edit anew.",
            detail=f"{type(error).__name__}: {error}",
        ) from error
    if not layers:
        raise VelaturaError(
            "bad-request",
            f"{path.name} has no recipe: Velatura did not make it, or another program saved it without; "
            "give a file as `velatura edit` wrote it.",
        )
    return layers


def _text_of(content: bytes) -> bytes:
    if archives.is_archive(content):
        return archives.part(content, PART, MAX_TEXT)
    if not content.startswith(chunks.SIGNATURE):
        return exr.recipes_in(content) if exr.is_exr(content) else xmp.recipes_in(_packet(content))
    texts = (data for kind, data in chunks.walk(content) if kind == b"iTXt")
    return next((_inflated(data) for data in texts if data.startswith(_KEYWORD + b"\0")), b"")


def _packet(content: bytes) -> bytes:
    """The XMP packet of a PSD, TIFF, JPEG or WebP file; b"" where it has none."""
    if psd.is_psd(content):
        return psd.xmp_in(content)
    if tiff.is_tiff(content):
        return tiff.xmp_in(content)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata
            with Pillow.open(io.BytesIO(content), formats=("JPEG", "WEBP")) as picture:
                packet = picture.info.get("xmp", b"")
    except UnidentifiedImageError:
        return b""
    return packet if isinstance(packet, bytes) else b""


def _inflated(data: bytes) -> bytes:
    """The text of an iTXt chunk: keyword, compression, language, translated keyword, text."""
    is_compressed = data[len(_KEYWORD) + 1] == 1
    _language, _keyword, text = data[len(_KEYWORD) + 3 :].split(b"\0", 2)
    if not is_compressed:
        return text
    inflate = zlib.decompressobj()
    whole = inflate.decompress(text, MAX_TEXT)
    if not inflate.eof:
        raise ValueError("the text is cut short or too long")
    return whole


def _unpacked(text: bytes) -> list[Made]:
    whole = as_object(json.loads(text))
    layers = as_object(whole.get("layers")) if whole else None
    if whole is None or layers is None or whole.get("version") != VERSION:
        raise ValueError("not a list of recipes of version 1")
    results = as_object(whole.get("results")) or {}
    made: list[Made] = []
    for name, recipe in layers.items():
        about = as_object(results.get(name)) or {}
        made.append(Made(name, text_of(about, "title"), text_of(about, "digest"), as_object(recipe) or {}))
    return made
