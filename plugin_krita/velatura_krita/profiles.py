"""ICC profiles of Krita's colour spaces: Krita's Python tells their names only.

A document of one pixel in the space is saved as .kra, which holds the profile.  It takes about a third of a
second, once in a session for each profile that a daemon does not know by its name.
"""

from __future__ import annotations

import logging
import tempfile
import zipfile
from collections.abc import Generator
from pathlib import Path
from typing import Any

from krita import InfoObject, Krita

from .velatura_protocol.profiles import is_known

log = logging.getLogger("velatura.krita")

PART = "/annotations/icc"  #: of the saved document
RESOLUTION = 72.0

_kept: dict[tuple[str, str], bytes] = {}


def icc_of(space: Any) -> Generator[int, None, bytes]:
    """The ICC profile of a layer's or a document's colour space; see `steps.Steps`.

    It is empty where the profile's name is enough, and where Krita does not give it: then the daemon refuses
    the pixels with a sentence.
    """
    model, depth, name = space.colorModel(), space.colorDepth(), space.colorProfile()
    if is_known(name):
        return b""
    if (model, name) not in _kept:
        document = Krita.instance().createDocument(1, 1, "profile", model, depth, name, RESOLUTION)
        if document is None:
            return b""
        try:
            document.setBatchmode(True)
            yield 0
            icc = _saved(document)
        finally:
            document.setModified(False)
            document.close()
        yield 0
        if not icc:
            return b""
        _kept[model, name] = icc
    return _kept[model, name]


def _saved(document: Any) -> bytes:
    """The profile in the file that Krita writes; empty where it writes none."""
    with tempfile.TemporaryDirectory(prefix="velatura-") as folder:
        path = Path(folder, "profile.kra")
        try:
            document.exportImage(str(path), InfoObject())
            with zipfile.ZipFile(path) as archive:
                part = next((part for part in archive.namelist() if part.endswith(PART)), "")
                return archive.read(part) if part else b""
        except (OSError, zipfile.BadZipFile):
            log.exception("a profile")
            return b""
