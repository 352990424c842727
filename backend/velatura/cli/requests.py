"""Pictures as the inputs of a request (SPEC section 5)."""

from __future__ import annotations

from velatura.files.images import Image
from velatura_protocol.rasters import MAX_NAME, Pixels


def inputs_of(source: Image, mask: Image | None) -> dict[str, Pixels | None]:
    """The source, which is the whole canvas, and what is selected of it.

    The source goes with an alpha channel, because results come in its channels and their alpha is the
    selection.
    """
    return {"source": pixels_of(source.with_alpha()), "mask": pixels_of(mask) if mask else None}


def pixels_of(image: Image, name: str = "") -> Pixels:
    """A picture at the corner of the canvas. name: of its file, for the recipe."""
    place = (0, 0, image.width, image.height)
    return Pixels(image.data, place, image.channels, image.dtype, image.profile, name[:MAX_NAME])
