"""Finds the pictures of a recipe by their digests, in a result's own file and in its folder."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from velatura.client.requests import pixels_of
from velatura.files.archives import MERGED, SOURCE
from velatura.files.images import Image
from velatura.files.reading import read_image, read_mask
from velatura_protocol.crops import is_of
from velatura_protocol.errors import VelaturaError
from velatura_protocol.rasters import Pixels, Raster

# The part of a layered result that holds its source.
_LAYERED = {".ora": SOURCE, ".psd": "Source"}
_OTHERS = (*_LAYERED, ".tif", ".tiff", ".exr")  # of which Pillow does not tell every size


class Sources:
    """The pictures that may be those of a recipe.

    Args:
        file: the result's file.
        canvas: width and height of the picture that was edited.
    """

    def __init__(self, file: Path, canvas: tuple[int, int]) -> None:
        self._file, self._canvas = file, canvas

    def found(self, raster: Raster) -> tuple[Path, Image, Pixels] | None:
        """The file whose pixels the raster was read from, its whole picture, and the pixels of the raster's
        whole layer; or None."""
        for path, part in self._candidates(raster):
            try:
                image = self._read(path, raster, part)
            except VelaturaError:  # another kind of file, or a broken one
                continue
            pixels = self._within(image, raster)
            if pixels is not None and is_of(raster, pixels):
                return path, image, pixels
        return None

    def given(self, path: Path, raster: Raster) -> tuple[Image, Pixels]:
        """The picture of a file that the person names, and its pixels in the place of the raster's layer.

        Raises VelaturaError as `read_image` does, and `bad-request` for a picture of another size.
        """
        image = self._read(path, raster, None)
        pixels = self._within(image, raster)
        if pixels is None:
            width, height = self._canvas
            raise VelaturaError(
                "bad-request",
                f"{path} is {image.width} x {image.height}, and the recipe's picture {width} x {height}; "
                "give one of that size.",
            )
        return image, pixels

    def _candidates(self, raster: Raster) -> Iterator[tuple[Path, str | None]]:
        """Files, and parts of them: the likeliest first, each once."""
        if self._file.suffix.lower() in _LAYERED:
            yield self._file, _LAYERED[self._file.suffix.lower()]
        folder = self._file.parent
        named = [folder / Path(raster.layer).name] if raster.layer else []
        try:
            beside = sorted(path for path in folder.iterdir() if path not in named)
        except OSError:
            beside = []
        sizes = {self._canvas, raster.layer_rect[2:]}
        for path in (*named, *beside):
            if path.is_file() and (path.suffix.lower() in _OTHERS or _size(path) in sizes | _turned(sizes)):
                yield path, None

    def _read(self, path: Path, raster: Raster, part: str | None) -> Image:
        """The picture with the raster's channels, as far as reading can give them."""
        if raster.channels == "A":
            return read_mask(path)
        if part and path.suffix.lower() == ".psd":
            return read_image(path, layer=part)
        return read_image(path, part or MERGED, convert=True)

    def _within(self, image: Image, raster: Raster) -> Pixels | None:
        """The picture's part in the place of the raster's layer; None where the picture does not fit."""
        size, (x, y, width, height) = (image.width, image.height), raster.layer_rect
        shown = image.with_alpha() if raster.channels.endswith("A") else image
        if size == self._canvas and x >= 0 and y >= 0 and x + width <= size[0] and y + height <= size[1]:
            pixels = shown.pixels[y : y + height, x : x + width]
        elif size == (width, height):
            pixels = shown.pixels
        else:
            return None
        part = Image(np.ascontiguousarray(pixels), shown.channels, shown.profile, shown.icc)
        return replace(pixels_of(part, raster.layer), rect=raster.layer_rect)


def _size(path: Path) -> tuple[int, int] | None:
    """Width and height as the file's header has them; None where it is no picture."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about odd metadata, and about sizes
            with Pillow.open(path) as picture:
                return picture.size
    except (OSError, ValueError, SyntaxError, Pillow.DecompressionBombError):
        return None


def _turned(sizes: set[tuple[int, int]]) -> set[tuple[int, int]]:
    """The sizes before EXIF turns a picture upright."""
    return {(height, width) for width, height in sizes}
