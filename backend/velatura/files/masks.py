"""Masks as greyscale PNG files, in which white is selected, and as white paint for layered pictures."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from velatura.files.atomic import replacing
from velatura.files.depths import full_of
from velatura.files.images import Image, Layer
from velatura.files.png import encode
from velatura.files.recipes import text_chunk

MAX_NAME = 60


def paths_for(path: Path, titles: Sequence[str]) -> list[Path]:
    """Return the files for masks of these titles: `path` for one mask; for several, names with their titles.

    Titles that differ in case only get numbers, because some file systems ignore case.
    """
    if len(titles) == 1:
        return [path]
    paths: list[Path] = []
    taken: set[str] = set()
    for title in titles:
        word = re.sub(r"[^\w'’-]+", "-", title).strip("-")[:MAX_NAME] or "mask"
        name, number = word, 1
        while name.casefold() in taken:
            number += 1
            name = f"{word}-{number}"
        taken.add(name.casefold())
        paths.append(path.with_name(f"{path.stem}-{name}{path.suffix}"))
    return paths


def write_mask(path: Path, mask: Layer) -> None:
    """Write a mask (channel `A`) as an 8-bit greyscale PNG; the file appears complete or not at all.

    Raises OSError.
    """
    content = encode(mask.image, extra=(text_chunk(mask),))
    with replacing(path) as stream:
        stream.write(content)


def as_paint(mask: Layer, source: Image) -> Layer:
    """Return a mask (8-bit, channel `A`) as white of that alpha, in the depth and colours of `source`."""
    full = full_of(source.pixels.dtype)
    channels = source.channels.removesuffix("A") + "A"
    alpha = mask.image.pixels.astype(source.pixels.dtype)
    alpha = alpha / source.pixels.dtype.type(255) if full == 1 else alpha * (full // 255)
    white = np.full((*alpha.shape[:2], len(channels) - 1), full, source.pixels.dtype)
    image = Image(np.concatenate([white, alpha], axis=-1), channels, source.profile, source.icc)
    return replace(mask, image=image)
