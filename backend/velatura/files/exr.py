"""OpenEXR files: floats in linear light, gray or RGB, with or without alpha.

Colours there are multiplied by alpha; ours are straight, and the file's own are kept for pixels that no edit
changes. A file with further channels, parts or samplings is refused: a result could not carry them.
"""

from __future__ import annotations

import struct
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import OpenEXR

from velatura.colour import of_gamma
from velatura.files import colour
from velatura.files.images import Image, check_size
from velatura.files.opacity import multiplied, straight
from velatura_protocol.errors import VelaturaError

MAGIC = b"\x76\x2f\x31\x01"
RECIPES = "velatura"  #: the header's attribute that holds the recipes
_COLOURS = {"RGB": ("R", "G", "B"), "G": ("Y",)}
_LIGHT = 100_000  # gAMA of linear light


def is_exr(content: bytes) -> bool:
    """Whether the file begins as an OpenEXR file does."""
    return content.startswith(MAGIC)


def read(content: bytes, name: str, colours: bool) -> Image:
    """The picture of an OpenEXR file: what its display window shows.

    Args:
        content: the file.
        name: its name, for messages.
        colours: whether the colour space is read.

    Raises VelaturaError `bad-request`, `unsupported-colour`, `too-large`; RuntimeError for a broken file.
    """
    header, planes = _opened(content, name)
    order = next((order for order, own in _COLOURS.items() if set(own) <= planes.keys()), None)
    if order is None or planes.keys() - {*_COLOURS[order], "A"}:
        others = (
            ", ".join(sorted(planes.keys() - {"R", "G", "B", "Y", "A"})) or "none for red, green and blue"
        )
        raise VelaturaError(
            "bad-request",
            f"{name} has channels that a result could not keep ({others:.80}); save its R, G, B and A alone.",
        )
    names = [*_COLOURS[order], *(["A"] if "A" in planes else [])]
    if any(planes[one].dtype.kind != "f" for one in names):
        raise VelaturaError(
            "bad-request", f"{name} has whole numbers in its channels; save it with floats of 16 or 32 bits."
        )
    pixels = _shown(np.stack([planes[one] for one in names], axis=-1), header, name)
    channels = order + ("A" if "A" in planes else "")
    associated = None
    if channels.endswith("A"):
        pixels, associated = straight(pixels), np.ascontiguousarray(pixels[..., :-1])
    if not colours:
        return Image(pixels, channels)
    points = header.get("chromaticities")
    chunk = _as_chunk(points) if points else None
    space = colour.judged(name, lambda: of_gamma(_LIGHT, chunk))
    kept = ((b"cHRM", struct.pack(">8I", *chunk)),) if chunk else ()
    return Image(pixels, channels, space.profile, space.icc, kept, (), associated)


def write(image: Image, recipes: bytes) -> bytes:
    """A picture of floats as an OpenEXR file. recipes: JSON, or b""."""
    order = image.channels.removesuffix("A")
    values = image.pixels
    colours = values
    if image.channels.endswith("A"):
        colours = image.associated if image.associated is not None else multiplied(values)
    planes = {one: np.ascontiguousarray(colours[..., i]) for i, one in enumerate(_COLOURS[order])}
    if image.channels.endswith("A"):
        planes["A"] = np.ascontiguousarray(values[..., -1])
    header: dict[str, Any] = {"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}
    points = dict(image.colour_chunks).get(b"cHRM", b"")
    if points:
        white_first = [value / 100_000 for value in struct.unpack(">8I", points)]
        header["chromaticities"] = (*white_first[2:], *white_first[:2])
    if recipes:
        header[RECIPES] = recipes.decode("ascii")
    with tempfile.TemporaryDirectory() as folder:  # the library writes files only
        path = Path(folder, "result.exr")
        with OpenEXR.File(header, planes) as file:
            file.write(str(path))
        return path.read_bytes()


def recipes_in(content: bytes) -> bytes:
    """The JSON of the recipes in an OpenEXR file; b"" where there are none. Raises RuntimeError."""
    header, _ = _opened(content, "", planes=False)
    text = header.get(RECIPES, "")
    return text.encode("utf-8") if isinstance(text, str) else b""


def _opened(content: bytes, name: str, planes: bool = True) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    with tempfile.TemporaryDirectory() as folder:  # the library reads files only
        path = Path(folder, "picture.exr")
        path.write_bytes(content)
        with OpenEXR.File(str(path), separate_channels=True, header_only=not planes) as file:
            if not planes:
                return dict(file.header()), {}  # the library empties its own
            if len(file.parts) > 1:
                raise VelaturaError(
                    "bad-request", f"{name} holds several pictures; save the one to edit by itself."
                )
            channels = file.channels()
            if any(channel.xSampling != 1 or channel.ySampling != 1 for channel in channels.values()):
                raise VelaturaError(
                    "bad-request", f"{name} has colours of less detail than its light; save it as RGB."
                )
            return dict(file.header()), {key: channel.pixels for key, channel in channels.items()}


def _shown(pixels: np.ndarray, header: dict[str, Any], name: str) -> np.ndarray:
    """The display window of pixels that fill the data window; black or transparent outside the data."""
    (left, top), (right, bottom) = (np.asarray(one, int) for one in header["displayWindow"])
    (x, y), (x1, y1) = (np.asarray(one, int) for one in header["dataWindow"])
    check_size(int(right - left + 1), int(bottom - top + 1), name)
    if x < left or y < top or x1 > right or y1 > bottom:
        raise VelaturaError(
            "bad-request",
            f"{name} has pixels outside the part that it shows; crop it to what is shown and save it again.",
        )
    made = np.zeros((bottom - top + 1, right - left + 1, pixels.shape[-1]), pixels.dtype)
    made[y - top : y1 - top + 1, x - left : x1 - left + 1] = pixels
    return made


def _as_chunk(points: Any) -> tuple[int, ...]:
    """Chromaticities of red, green, blue and white as those of a cHRM chunk, white first."""
    values = [round(float(value) * 100_000) for value in points]
    return (*values[6:], *values[:6])
