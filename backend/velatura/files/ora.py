"""OpenRaster files (freedesktop.org's layered pictures; Krita, GIMP and others open them).

    mimetype                    first, stored: image/openraster
    stack.xml                   groups of variations above the source
    data/source.png             as every layer, at the source's own depth
    data/variation-N.png        N counts from the top of the stack
    mergedimage.png             the source with the topmost variation
    Thumbnails/thumbnail.png    at most 256 pixels a side
    velatura/recipes.json       the layers' recipes (see `velatura.files.recipes`)

After the OpenRaster specification 0.0.3 (baseline). `velatura/` is our own; other readers ignore it.
"""

from __future__ import annotations

import io
import re
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from velatura.colour import shown
from velatura.files import recipes
from velatura.files.archives import MERGED, SOURCE
from velatura.files.atomic import replacing
from velatura.files.composite import over
from velatura.files.images import Image, Layer
from velatura.files.png import encode
from velatura.files.png_pixels import Bands

EPOCH = (1980, 1, 1, 0, 0, 0)  # a fixed date, so that the same result gives the same file
THUMBNAIL = 256


@dataclass(frozen=True)
class Group:
    """The layers of one edit, the topmost first. Only that one is visible."""

    title: str
    layers: Sequence[Layer]


def write_ora(path: Path, source: Image, layers: Sequence[Layer], title: str) -> None:
    """Write the source and a group named `title` of layers, of which only the first is visible.

    See `write_groups`. Without layers there is no group.
    """
    write_groups(path, source, [Group(title, layers)] if layers else [], title)


def write_groups(path: Path, source: Image, groups: Sequence[Group], title: str) -> None:
    """Write the source and the groups above it; the first lies on top, and it alone is visible.

    Args:
        path: the file, which appears complete or not at all.
        source: the picture before the edits.
        groups: the edits.
        title: the picture's name.

    Raises OSError; ValueError for a layer whose channels or depth are not the source's (see
    `composite.over`).
    """
    merged = over(source, groups[0].layers[0]) if groups else source
    layers = [layer for group in groups for layer in group.layers]
    files = [(f"data/variation-{number}.png", layer) for number, layer in enumerate(layers, 1)]
    with replacing(path) as stream, zipfile.ZipFile(stream, "w") as archive:

        def add(name: str, content: bytes, method: int = zipfile.ZIP_STORED) -> None:
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = method
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)

        add("mimetype", b"image/openraster")
        add("stack.xml", _stack(source, groups, title), zipfile.ZIP_DEFLATED)
        bands = Bands()  # the merged picture is the source but for a layer's rows
        add(SOURCE, encode(source, always_profile=True, extra=source.metadata, bands=bands))
        for name, layer in files:
            add(name, encode(_like(layer.image, source), always_profile=True))
        add(MERGED, encode(merged, always_profile=True, extra=source.metadata, bands=bands))
        add("Thumbnails/thumbnail.png", _thumbnail(merged))
        add(recipes.PART, recipes.pack(files), zipfile.ZIP_DEFLATED)


def _like(image: Image, source: Image) -> Image:
    return Image(image.pixels, image.channels, source.profile, source.icc, source.colour_chunks)


def _stack(source: Image, groups: Sequence[Group], title: str) -> bytes:
    root = ElementTree.Element("image", version="0.0.3", w=str(source.width), h=str(source.height))
    root.set("name", _xml_text(title))
    stack = ElementTree.SubElement(root, "stack")
    number = 0
    for order, group in enumerate(groups):
        within = ElementTree.SubElement(stack, "stack", name=_xml_text(group.title), isolation="isolate")
        if len(groups) > 1:
            within.set("visibility", "hidden" if order else "visible")
        for place, layer in enumerate(group.layers):
            number += 1
            name = f"data/variation-{number}.png"
            element = ElementTree.SubElement(within, "layer", name=_xml_text(layer.title), src=name)
            element.set("x", str(layer.x))
            element.set("y", str(layer.y))
            element.set("visibility", "hidden" if place else "visible")
    ElementTree.SubElement(stack, "layer", name="Source", src=SOURCE, x="0", y="0")
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="UTF-8", xml_declaration=True)


def _xml_text(text: str) -> str:
    """Return the text with U+FFFD for the characters that XML 1.0 (section 2.2) cannot hold."""
    return re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text)


def _thumbnail(image: Image) -> bytes:
    step = max(1, max(image.width, image.height) // (4 * THUMBNAIL))  # 4 samples a pixel are enough
    pixels = image.pixels[::step, ::step]
    count = 3 if image.channels.startswith("RGB") else 1
    parts = [shown(pixels[..., :count], image.space)]
    if image.channels.endswith("A"):
        parts.append((pixels[..., -1:] >> 8 * (pixels.itemsize - 1)).astype(np.uint8))
    picture = Pillow.fromarray(np.concatenate(parts, axis=-1))
    scale = THUMBNAIL / max(image.width, image.height)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    if scale < 1:
        picture = picture.convert("RGBA").resize(size, Pillow.Resampling.LANCZOS)
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()
