"""Photoshop's layered files (PSD and PSB), gray or RGB, at 8, 16 and 32 bits, through psd-tools.

Its modules are imported when such a file is there: they take half of the time that all readers take.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from velatura.colour import LINEAR, SRGB, of_icc
from velatura.files import colour, metadata
from velatura.files.depths import full_of
from velatura.files.images import Image, Layer, check_size
from velatura_protocol.errors import VelaturaError

if TYPE_CHECKING:
    from psd_tools import PSDImage

MAGIC = b"8BPS"
_MODES = {"RGB": "RGB", "GRAYSCALE": "G"}
_TYPES = {8: np.uint8, 16: np.uint16, 32: np.float32}


def is_psd(content: bytes) -> bool:
    """Whether the file begins as a PSD or PSB does."""
    return content.startswith(MAGIC)


def read(content: bytes, name: str, colours: bool, layer: str = "") -> Image:
    """The merged picture of a file, or one of its layers on the file's canvas.

    Args:
        content: the file.
        name: its name, for messages.
        colours: whether the colour space is read.
        layer: the name of a layer of pixels; '' for the merged picture.

    Raises VelaturaError `bad-request`, `unsupported-colour`, `too-large`; psd-tools' errors.
    """
    from psd_tools import PSDImage
    from psd_tools.constants import Resource

    file = PSDImage.open(io.BytesIO(content))
    check_size(file.width, file.height, name)
    if file.color_mode.name not in _MODES or file.depth not in _TYPES:
        raise VelaturaError(
            "unsupported-colour",
            f"{name} has {file.color_mode.name} colours of {file.depth} bits, not RGB or gray. "
            f"{colour.ADVICE}",
        )
    if layer:
        values = _layer(file, layer, name)
    elif file.has_preview():
        values = file.numpy()
    else:
        raise VelaturaError(
            "bad-request",
            f"{name} was saved without its merged picture; maximise compatibility, or name a layer.",
        )
    dtype = np.dtype(_TYPES[file.depth])
    pixels = values if dtype.kind == "f" else np.rint(values * full_of(dtype))
    pixels = np.ascontiguousarray(pixels.astype(dtype))
    order = _MODES[file.color_mode.name]
    channels = order + ("A" if pixels.shape[-1] > len(order) else "")
    if pixels.shape[-1] != len(channels):
        raise VelaturaError(
            "bad-request", f"{name} has channels beside its colours; name the layer to edit, or delete them."
        )
    if not colours:
        return Image(pixels, channels)
    icc = bytes(file.image_resources.get_data(Resource.ICC_PROFILE, b""))
    if icc:
        space = colour.judged(name, lambda: of_icc(icc, order == "G"))
    else:
        space = LINEAR if dtype.kind == "f" else SRGB
    xmp = bytes(file.image_resources.get_data(Resource.XMP_METADATA, b""))
    exif = bytes(file.image_resources.get_data(Resource.EXIF_DATA_1, b""))
    about = metadata.of_parts(exif, xmp, None, (file.width, file.height))
    return Image(pixels, channels, space.profile, icc, (), about)


def write(source: Image, layers: Sequence[Layer], title: str, xmp: bytes) -> bytes:
    """The source and a group of layers above it, of which the first alone is visible.

    Args:
        source: the picture before the edit, of 8 or 16 bits, or of 32 as floats.
        layers: the best first; in the source's colours and depth, with alpha.
        title: the group's.
        xmp: the packet to write, with the recipes in it.
    """
    from psd_tools import PSDImage
    from psd_tools.api.layers import PixelLayer
    from psd_tools.constants import Resource
    from psd_tools.psd.image_resources import ImageResource

    mode = "RGB" if source.channels.startswith("RGB") else "L"
    depths = {dtype: depth for depth, dtype in _TYPES.items()}
    depth: Any = depths[source.pixels.dtype.type]
    file = PSDImage.new(mode, (source.width, source.height), depth=depth)
    file.create_pixel_layer_from_array(source.pixels, name="Source")
    group = file.create_group(name=title)
    for place, layer in reversed(list(enumerate(layers))):
        made = PixelLayer.fromarray(
            layer.image.pixels, parent=group, name=layer.title, top=layer.y, left=layer.x
        )
        made.visible = place == 0
    own = {
        Resource.ICC_PROFILE: colour.icc_of(source, gray=mode == "L"),
        Resource.XMP_METADATA: xmp,
        Resource.EXIF_DATA_1: dict(source.metadata).get(b"eXIf", b""),
    }
    for kind, data in own.items():
        if data:
            file.image_resources[kind] = ImageResource(key=kind.value, data=data)
    stream = io.BytesIO()
    file.save(stream)
    return stream.getvalue()


def xmp_in(content: bytes) -> bytes:
    """The file's XMP packet, or b""."""
    from psd_tools import PSDImage
    from psd_tools.constants import Resource

    file = PSDImage.open(io.BytesIO(content))
    return bytes(file.image_resources.get_data(Resource.XMP_METADATA, b""))


def _layer(file: PSDImage, title: str, name: str) -> np.ndarray:
    """A layer's pixels on the canvas, [height, width, channels] with alpha, transparent around it."""
    found = [layer for layer in file.descendants() if layer.kind == "pixel"]
    layer = next((layer for layer in found if layer.name == title), None)
    if layer is None:
        names = ", ".join(layer.name for layer in found) or "none"
        raise VelaturaError("bad-request", f"{name} has no layer {title!r}; it has: {names:.300}.")
    values = layer.numpy()
    if values is None:
        raise VelaturaError("empty-layer", f"The layer {title!r} of {name} is empty; name another one.")
    order = 3 if file.color_mode.name == "RGB" else 1
    if values.shape[-1] == order:
        values = np.concatenate([values, np.ones_like(values[..., :1])], axis=-1)
    canvas = np.zeros((file.height, file.width, order + 1), values.dtype)
    top, left = max(layer.top, 0), max(layer.left, 0)
    bottom, right = min(layer.bottom, file.height), min(layer.right, file.width)
    if top < bottom and left < right:
        part = values[top - layer.top : bottom - layer.top, left - layer.left : right - layer.left]
        canvas[top:bottom, left:right] = part
    return canvas
