"""From the document to a request: which layer, which rectangle, the pixels as Krita keeps them.

Bytes are taken as they are, without a conversion and without a copy; the daemon does the converting.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

from .places import idle, root_id
from .recipes import bare
from .velatura_protocol.errors import VelaturaError

#: The order of the channels in memory, by colour model and by whether the depth is a float.
CHANNELS = {
    ("RGBA", False): "BGRA",
    ("RGBA", True): "RGBA",
    ("GRAYA", False): "GA",
    ("GRAYA", True): "GA",
}
DTYPES = {"U8": "u8", "U16": "u16", "F16": "f16", "F32": "f32"}
MODELS = {"CMYKA": "CMYK", "LABA": "L*a*b*", "XYZA": "XYZ", "YCbCrA": "YCbCr"}  #: names for people

PAINT = "paintlayer"
SELECTING = "selectionmask"  #: says what is selected, and changes nothing that shows
#: Layers that show pixels of their own; what they show is taken.
SHOWING = (PAINT, "grouplayer", "vectorlayer", "filelayer", "clonelayer", "filllayer")

Rect = tuple[int, int, int, int]


@dataclass(frozen=True)
class Capture:
    """The pixels of a run and where they came from.  Rasters are as on the wire, less their digests."""

    node: str
    root: str
    file: str
    document: str
    layer: str
    canvas: tuple[int, int]
    source: dict
    pixels: memoryview
    mask: dict | None
    selected: memoryview | None


def capture(document: Any, inputs: dict, whole: bool = False) -> Generator[int, None, Capture]:
    """Take the active layer and the selection; see `steps.Steps`.

    inputs: what the method needs, as the daemon describes it.  whole: without the selection, unless that is
    required.  Raises VelaturaError with a sentence for what cannot be edited, before any pixel is read.
    Selection and layer are read in turns of their own.
    """
    yield from idle(document)
    node = subject(document.activeNode())
    channels, dtype = layout(node)
    canvas = (0, 0, document.width(), document.height())
    selection = None if whole and inputs.get("mask") != "required" else document.selection()
    within = chosen(selection, canvas)
    rect = frame(node, within, canvas)
    mask = selected = None
    if within is not None:
        selected = memoryview(selection.pixelData(*within)).cast("B")
        mask = raster(within, "A", "u8", "")
        yield 0
        yield from idle(document)
    elif inputs.get("mask") == "required":
        raise VelaturaError("empty-mask", "This method needs a selection: select what is to change.")
    return Capture(
        node=bare(node.uniqueId()),
        root=root_id(document),
        file=document.fileName(),
        document=document.name(),
        layer=node.name(),
        canvas=canvas[2:],
        source=raster(rect, channels, dtype, node.colorProfile()),
        pixels=memoryview(pixels(node, rect)).cast("B"),
        mask=mask,
        selected=selected,
    )


def subject(node: Any | None) -> Any:
    """The active layer, if it can be edited."""
    if node is None:
        raise VelaturaError("empty-layer", "Select the layer to edit in the Layers docker.")
    kind = node.type()
    if kind.endswith("mask"):
        raise VelaturaError("empty-layer", f"'{node.name()}' is a mask; select the layer it belongs to.")
    if kind not in SHOWING:
        raise VelaturaError(
            "empty-layer", f"'{node.name()}' holds no pixels of its own; select a paint layer."
        )
    if kind == "grouplayer" and node.passThroughMode():
        raise VelaturaError("empty-layer", f"The group '{node.name()}' passes through; select a layer in it.")
    return node


def layout(node: Any) -> tuple[str, str]:
    """Channels and dtype of the layer's pixels as on the wire."""
    model, depth = node.colorModel(), node.colorDepth()
    channels = CHANNELS.get((model, depth.startswith("F")))
    if channels is None or depth not in DTYPES:
        raise VelaturaError(
            "unsupported-colour",
            f"'{node.name()}' is in {MODELS.get(model, model)} colours, which cannot be edited: convert the "
            "layer to RGB with Layer > Convert > Convert Layer Color Space.",
        )
    return channels, DTYPES[depth]


def chosen(selection: Any | None, canvas: Rect) -> Rect | None:
    """The selection's bounds within the canvas; None if there is no selection."""
    if selection is None:
        return None
    rect = common((selection.x(), selection.y(), selection.width(), selection.height()), canvas)
    if not rect[2] or not rect[3]:
        raise VelaturaError(
            "empty-mask", "Nothing inside the canvas is selected: select what is to change, or deselect all."
        )
    return rect


def frame(node: Any, within: Rect | None, canvas: Rect) -> Rect:
    """The rectangle of the layer that is sent: its bounds, united with the selection's, within the canvas."""
    box = node.bounds()
    bounds = (box.x(), box.y(), box.width(), box.height())
    shown = common(bounds, canvas)
    if not shown[2] or not shown[3]:
        raise VelaturaError(
            "empty-layer", f"'{node.name()}' is empty within the canvas; paint something first."
        )
    if within is None:
        return shown
    left, top = min(shown[0], within[0]), min(shown[1], within[1])
    right = max(shown[0] + shown[2], within[0] + within[2])
    bottom = max(shown[1] + shown[3], within[1] + within[3])
    return left, top, right - left, bottom - top


def common(a: Rect, b: Rect) -> Rect:
    """The rectangle that both have; of width and height 0 if they have none."""
    left, top = max(a[0], b[0]), max(a[1], b[1])
    width = min(a[0] + a[2], b[0] + b[2]) - left
    height = min(a[1] + a[3], b[1] + b[3]) - top
    return (left, top, width, height) if width > 0 and height > 0 else (left, top, 0, 0)


def pixels(node: Any, rect: Rect) -> Any:
    """The layer's bytes as a QByteArray: its own, or with its masks or children what they make of it."""
    plain = node.type() == PAINT and all(child.type() == SELECTING for child in node.childNodes())
    return node.pixelData(*rect) if plain else node.projectionPixelData(*rect)


def raster(rect: Rect, channels: str, dtype: str, profile: str) -> dict:
    return {
        "width": rect[2],
        "height": rect[3],
        "channels": channels,
        "dtype": dtype,
        "profile": profile,
        "rect": list(rect),
    }
