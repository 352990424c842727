"""Evidence that a layer is a certain result: its size and the digest of its pixels.

A host's own mark on a layer (Krita's unique id, GIMP's tattoo) is lost or doubled when the layer is
duplicated, copied to another picture or flattened. Its pixels are not.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

from .rasters import FAR, Rect
from .reading import as_integer, as_list, as_object, text_of


@dataclass(frozen=True, slots=True)
class Evidence:
    """The pixels of a layer: their digest, and the rectangle that holds all that are not clear."""

    digest: str
    rect: Rect

    def is_same(self, other: Evidence | None) -> bool:
        """Whether the other layer has the same pixels, at whatever place."""
        return other is not None and self.digest == other.digest and self.rect[2:] == other.rect[2:]

    def to_json(self) -> dict[str, object]:
        """The object that `from_json` reads."""
        return {"digest": self.digest, "rect": list(self.rect)}

    @classmethod
    def from_json(cls, value: object) -> Evidence | None:
        """Reads evidence; None for anything else."""
        d: Mapping[str, object] = as_object(value) or {}
        digest, given = text_of(d, "digest"), as_list(d.get("rect")) or ()
        numbers = [whole for number in given if (whole := as_integer(number, -FAR, FAR)) is not None]
        if not len(given) == len(numbers) == 4 or not digest:
            return None
        return cls(digest, (numbers[0], numbers[1], numbers[2], numbers[3]))


def hasher(pixel: str) -> hashlib.blake2b:
    """Takes the pixels of a layer, rows from the top, in pieces of any size; `Evidence` has its digest.

    pixel: channels and type of a pixel ("BGRA u8"), so that equal bytes of another layout differ.
    """
    return hashlib.blake2b(pixel.encode(), digest_size=16)
