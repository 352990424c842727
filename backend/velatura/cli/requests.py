"""Pictures as the inputs of a request (SPEC section 5)."""

from __future__ import annotations

from velatura.files.images import Image
from velatura_protocol.rasters import Pixels


def inputs_of(source: Image, mask: Image | None) -> dict[str, Pixels | None]:
    """The source, which is the whole canvas, and what is selected of it.

    The source goes with an alpha channel, because results come in its channels and their alpha is the
    selection.
    """
    return {"source": _pixels(source.with_alpha()), "mask": _pixels(mask) if mask else None}


def _pixels(image: Image) -> Pixels:
    place = (0, 0, image.width, image.height)
    return Pixels(image.data, place, image.channels, image.dtype, image.profile)
