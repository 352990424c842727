"""From the document to a request: the layer, the rectangle, and the pixels in Krita's own format.

Bytes are read without conversion, band by band; the daemon converts them.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from .places import node_by_id, root_id
from .profiles import icc_of
from .recipes import bare
from .rest import Closed, Tell, idle, unheard
from .sight import sight
from .velatura_protocol.catalogue import MethodInfo
from .velatura_protocol.errors import VelaturaError
from .velatura_protocol.placement import Sketch, sketch
from .velatura_protocol.rasters import DTYPES as SIZES
from .velatura_protocol.rasters import Pixels, Rect, common
from .velatura_protocol.sights import LAYER

#: The order of the channels in memory, by colour model and by whether the depth is a float.
CHANNELS = {
    ("RGBA", False): "BGRA",
    ("RGBA", True): "RGBA",
    ("GRAYA", False): "GA",
    ("GRAYA", True): "GA",
}
DTYPES = {"U8": "u8", "U16": "u16", "F16": "f16", "F32": "f32"}
MODELS = {"CMYKA": "CMYK", "LABA": "L*a*b*", "XYZA": "XYZ", "YCbCrA": "YCbCr"}  #: names for people

PAINT, GROUP = "paintlayer", "grouplayer"
SELECTING = "selectionmask"  #: holds a selection, and shows nothing
#: Layers that show pixels of their own, which are captured.
SHOWING = (PAINT, GROUP, "vectorlayer", "filelayer", "clonelayer", "filllayer")
NO_PICTURE = "Open a picture first, then select the layer to edit."
BAND = 1 << 22  #: bytes that are read in one turn


Further = Callable[[Any, Rect], Generator[int, None, dict[str, Pixels]]]


@dataclass(frozen=True)
class Capture:
    """The pixels of a run and their origin. inputs: by the raster's name. sees: see `sights.TITLES`."""

    node: str
    root: str
    file: str
    document: str
    layer: str
    canvas: tuple[int, int]
    inputs: Mapping[str, Pixels | None]
    sees: str
    sketch: Sketch | None  #: of a layer whose result follows it
    frame: int | None  #: of an animated layer

    @property
    def selection(self) -> Rect | None:
        """The bounds of the selection."""
        mask = self.inputs.get("mask")
        return mask.rect if mask is not None else None


def capture(
    document: Any | None,
    method: MethodInfo,
    whole: bool = False,
    tell: Tell = unheard,
    further: Further | None = None,
    sees: str = LAYER,
    follow: bool = False,
) -> Generator[int, None, Capture]:
    """Captures the layer that is active at the start, and the selection; see `steps.Steps`.

    whole: without the selection, unless the method requires it. tell: see `rest.idle`. further: reads the
    further rasters within the canvas; see `rasters.capture_rasters`. sees: the picture that is read for the
    layer, one of `sights.TITLES`. follow: whether the result will follow the layer, which is sketched for it.
    Raises VelaturaError, with a sentence, for a layer that cannot be edited, before it reads any pixel.
    """
    if document is None:
        raise VelaturaError("empty-layer", NO_PICTURE)
    if document.rootNode() is None:
        raise Closed
    meant = subject(document.activeNode())
    name, wanted = meant.name(), bare(meant.uniqueId())
    yield from idle(document, tell)
    node = node_by_id(document, wanted)
    if node is None:  # while it was waited for
        raise VelaturaError("empty-layer", f"'{name}' is gone; select the layer to edit, then run again.")
    if sees == LAYER:  # refused before anything is read
        layout(node)
    box = node.bounds()
    bounds = box.x(), box.y(), box.width(), box.height()
    canvas = (0, 0, document.width(), document.height())
    needs_mask = method.need("mask") == "required"
    selection = None if whole and not needs_mask else document.selection()
    within = chosen(selection, canvas)
    if sees == LAYER:
        frame(node.name(), bounds, within, canvas, method.from_nothing)
    if within is None and needs_mask:
        raise VelaturaError("empty-mask", "This method needs a selection: select what is to change.")
    still = selection.duplicate() if within is not None else None  # as it is at the click
    drawn, mask = _sketch(node, canvas, bounds) if follow else None, None
    seen = yield from sight(document, node, sees, bounds, reader_of)
    try:
        if within is not None:
            mask = Pixels((yield from read(still.pixelData, within, within[2])), within, "A", "u8", "")
        channels, dtype = layout(seen.space)
        rect = frame(node.name(), seen.bounds, within, canvas, method.from_nothing)
        data = yield from read(seen.read, rect, rect[2] * len(channels) * SIZES[dtype])
        name = seen.space.colorProfile()
        source = Pixels(data, rect, channels, dtype, name, icc=(yield from icc_of(seen.space)))
    finally:
        seen.close()
    others = (yield from further(document, canvas)) if further is not None else {}
    return Capture(
        node=bare(node.uniqueId()),
        root=root_id(document),
        file=document.fileName(),
        document=document.name(),
        layer=node.name(),
        canvas=canvas[2:],
        inputs={"source": source, "mask": mask, **others},
        sees=sees,
        sketch=drawn,
        frame=document.currentTime() if node.animated() else None,
    )


def _sketch(node: Any, canvas: Rect, bounds: Rect) -> Sketch:
    """The layer as it is now; see `placement.Sketch`."""
    try:
        channels, dtype = layout(node)
    except VelaturaError:  # the model sees the picture instead, whose colours it knows
        return Sketch(canvas[2:], bounds, 1)
    sample = SIZES[dtype]
    within = common(bounds, canvas)
    return sketch(canvas[2:], bounds, len(channels) * sample, sample, within, reader_of(node))


def read(reader: Callable[..., Any], rect: Rect, stride: int) -> Generator[int, None, memoryview]:
    """The bytes of a rectangle, a band in each turn; stride: bytes of a row.  Raises VelaturaError."""
    left, top, width, height = rect
    # Memory that the system hands out page by page: to fill 64 MB with zeros at once takes 20 ms.
    whole = memoryview(mmap.mmap(-1, stride * height))
    rows = max(1, BAND // stride)
    for first in range(0, height, rows):
        count = min(rows, height - first)
        band = memoryview(reader(left, top + first, width, count)).cast("B")
        if len(band) != count * stride:
            raise VelaturaError("busy", "Krita did not give the layer's pixels; run again.")
        whole[first * stride :][: len(band)] = band
        yield 0
    return whole


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
    if kind == GROUP and node.passThroughMode():
        raise VelaturaError("empty-layer", f"The group '{node.name()}' passes through; select a layer in it.")
    return node


def layout(node: Any) -> tuple[str, str]:
    """The wire's channels and dtype of the layer's pixels."""
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


def frame(name: str, bounds: Rect, within: Rect | None, canvas: Rect, from_nothing: bool = False) -> Rect:
    """The part of the layer to send: its bounds, united with the selection's, within the canvas.

    name: of the layer. from_nothing: whether the method looks at nothing of it; then it may be empty.
    Since a layer in Krita has no edges, the whole canvas is its place.
    """
    if from_nothing:
        return canvas
    shown = common(bounds, canvas)
    if not shown[2] or not shown[3]:
        raise VelaturaError("empty-layer", f"'{name}' is empty within the canvas; paint something first.")
    if within is None:
        return shown
    left, top = min(shown[0], within[0]), min(shown[1], within[1])
    right = max(shown[0] + shown[2], within[0] + within[2])
    bottom = max(shown[1] + shown[3], within[1] + within[3])
    return left, top, right - left, bottom - top


def reader_of(node: Any) -> Callable[..., Any]:
    """The reader of the layer's pixels: its own, or the projection where it has masks or children.

    It reads a copy, which keeps the pixels while the person paints on and shares them with the layer until
    then. A group is not copied, since each of its layers would be.
    """
    is_plain = node.type() == PAINT and all(child.type() == SELECTING for child in node.childNodes())
    still = node if node.type() == GROUP else node.clone()
    return still.pixelData if is_plain else still.projectionPixelData
