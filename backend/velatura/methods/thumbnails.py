"""Small pictures of results, for a client's strip and a document's history. Importing it imports no numpy."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, NamedTuple

from velatura_protocol.candidates import MAX_THUMBNAIL
from velatura_protocol.messages import digest
from velatura_protocol.rasters import Rect

if TYPE_CHECKING:
    import numpy as np

SIDE = 192
"""Most pixels of a side: a cell of 96 on a screen of double density."""
_QUALITIES = (85, 60, 30)


class Thumb(NamedTuple):
    """A JPEG with its size in pixels. rect: the part of the document that it shows."""

    data: bytes
    width: int
    height: int
    rect: Rect

    def to_wire(self) -> dict[str, object]:
        """The object `thumbnail` of SPEC section 4."""
        return {
            "digest": digest(self.data),
            "size": len(self.data),
            "format": "jpeg",
            "width": self.width,
            "height": self.height,
            "rect": list(self.rect),
        }


def thumbnail(rgb: np.ndarray, rect: Rect) -> Thumb:
    """The thumbnail of a picture uint8 [h, w, 3], at most `SIDE` a side and `MAX_THUMBNAIL` bytes."""
    from PIL import Image

    image = Image.fromarray(rgb)
    image.thumbnail((SIDE, SIDE))
    data = b""
    for quality in _QUALITIES:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=quality)
        data = file.getvalue()
        if len(data) <= MAX_THUMBNAIL:
            break
    return Thumb(data, image.width, image.height, rect)
