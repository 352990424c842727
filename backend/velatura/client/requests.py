"""Turns pictures into the inputs of a request (SPEC section 5)."""

from __future__ import annotations

from velatura.files.images import Image
from velatura_protocol.rasters import MAX_NAME, Pixels


def inputs_of(
    source: Image, mask: Image | None, names: tuple[str, str] = ("", "")
) -> dict[str, Pixels | None]:
    """The source, which is the whole canvas, and its mask. names: of their files, for the recipe.

    The source gets an alpha channel, because a result has the source's channels and its alpha is the
    selection.
    """
    layer = pixels_of(source.with_alpha(), names[0])
    return {"source": layer, "mask": pixels_of(mask, names[1]) if mask else None}


def pixels_of(image: Image, name: str = "") -> Pixels:
    """A picture at the upper left corner of the canvas. name: its file's name, for the recipe."""
    place = (0, 0, image.width, image.height)
    return Pixels(
        image.data, place, image.channels, image.dtype, image.profile, name[:MAX_NAME], image.needed_icc
    )
