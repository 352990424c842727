"""Parts of OpenRaster files, which are ZIP archives."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import suppress

MERGED = "mergedimage.png"
SOURCE = "data/source.png"


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


def parts(content: bytes, at_most: int) -> Iterator[bytes]:
    """The parts of an archive that can be read and have at most `at_most` bytes."""
    with suppress(zipfile.BadZipFile), zipfile.ZipFile(io.BytesIO(content)) as archive:
        for one in archive.infolist():
            if one.file_size <= at_most:
                with suppress(zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, zlib.error):
                    yield archive.read(one)
