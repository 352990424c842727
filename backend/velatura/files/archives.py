"""Parts of OpenRaster and Krita files, which are ZIP archives."""

from __future__ import annotations

import io
import xml.etree.ElementTree as ElementTree
import zipfile
from dataclasses import dataclass

MERGED = "mergedimage.png"
SOURCE = "data/source.png"
STACK = "stack.xml"
MAX_STACK = 16 * 1024 * 1024


@dataclass(frozen=True)
class Placed:
    """A layer of an OpenRaster file. part: its PNG. x, y: of its upper left pixel. size: of the canvas."""

    part: str
    x: int
    y: int
    size: tuple[int, int]


def is_archive(content: bytes) -> bool:
    """Whether the file is a ZIP archive."""
    return content.startswith(b"PK\x03\x04")


def part(content: bytes, name: str, at_most: int) -> bytes:
    """A part of an archive, or b"" where it has none of this name.

    Args:
        content: the archive.
        name: the part's path within it.
        at_most: bytes; a longer part is refused before it is unpacked.

    Raises ValueError, OSError or zipfile.BadZipFile for a broken archive and for a part that is too long.
    """
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if name not in archive.namelist():
            return b""
        if archive.getinfo(name).file_size > at_most:
            raise ValueError(f"{name} is longer than {at_most} bytes")
        try:
            return archive.read(name)
        except RuntimeError as error:  # encrypted, or packed in a way that Python does not know
            raise ValueError(f"{name} cannot be unpacked") from error


def layers(content: bytes) -> dict[str, Placed]:
    """The layers of an OpenRaster file by name, the topmost first; of two with one name the upper one.

    Raises as `part` does, and ElementTree.ParseError.
    """
    text = part(content, STACK, MAX_STACK)
    if not text:
        return {}
    root = ElementTree.fromstring(text)
    size = int(root.get("w", "0")), int(root.get("h", "0"))
    found: dict[str, Placed] = {}
    for element in root.iter("layer"):
        name, source = element.get("name", ""), element.get("src", "")
        if name and source:
            placed = Placed(source, int(element.get("x", "0")), int(element.get("y", "0")), size)
            found.setdefault(name, placed)
    return found
