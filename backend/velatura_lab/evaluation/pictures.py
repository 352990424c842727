"""Pictures inside a page: PNG as data URIs, and selections shown on their pictures."""

from __future__ import annotations

import base64
import io

import numpy as np
from numpy.typing import NDArray
from PIL import Image

SIDE = 192  # most pixels of the longer side of a picture in the page


def data_uri(picture: NDArray[np.uint8]) -> str:
    """uint8 [h, w, 3] -> a PNG in a URI; large pictures are scaled down."""
    image = Image.fromarray(picture)
    if max(image.size) > SIDE:
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    stream = io.BytesIO()
    image.save(stream, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()


def selected(
    picture: NDArray[np.uint8], mask: NDArray[np.uint8], region: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """The selection on its picture: the rest is dimmed, as in hosts, and the exact region has an outline.

    picture: uint8 [h, w, 3]; mask: uint8 [h, w]; region: float32 [h, w] in 0..1.
    """
    weight = (mask.astype(np.float32) / 255.0)[..., None]
    grey = picture.mean(2, keepdims=True) * 0.35 + 145.0
    shown = grey + weight * (picture - grey)
    inside = region > 0.3
    edge = inside & ~_eroded(inside)
    shown[edge] = (213, 94, 0)
    return np.rint(shown).clip(0, 255).astype(np.uint8)


def _eroded(inside: NDArray[np.bool_]) -> NDArray[np.bool_]:
    padded = np.pad(inside, 1, mode="edge")
    return padded[:-2, 1:-1] & padded[2:, 1:-1] & padded[1:-1, :-2] & padded[1:-1, 2:]
