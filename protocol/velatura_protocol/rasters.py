"""Pixels on the wire (SPEC section 5): described by a `Raster`, together with their bytes as `Pixels`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict

from .errors import VelaturaError
from .messages import Bytes, digest, is_digest
from .reading import as_integer, as_list, as_object

MAX_SIDE = 16384
MAX_BLOB = 4 * 1024**3
MAX_NAME = 200  #: characters of a name: a profile's, a method's, a model's
FAR = 2**31 - 1  #: coordinates and sides of the canvas lie within +-FAR
CHANNELS = ("BGRA", "RGBA", "RGB", "GA", "G", "A")
MASK_CHANNELS = ("A", "G")
DTYPES = {"u8": 1, "u16": 2, "f16": 2, "f32": 4}

Rect = tuple[int, int, int, int]


class _Described(TypedDict):
    digest: str
    width: int
    height: int
    channels: str
    dtype: str
    profile: str
    rect: list[int]


class RasterObject(_Described, total=False):
    """A raster as JSON has it."""

    layer: str
    icc: str
    whole: list[int]
    whole_digest: str


@dataclass(frozen=True, slots=True)
class Raster:
    """The description of pixels: rows from the top, no padding, little-endian, straight alpha.

    Attributes:
        width: pixels, 1 ... 16384.
        height: the same.
        channels: one of `CHANNELS`.
        dtype: a key of `DTYPES`.
        profile: the name of the colour space.
        rect: (x, y, width, height) in pixels of the document; may reach outside the canvas.
        layer: the name of the layer that it was read from, by which a recipe finds the layer again; '' if
            unknown.
        icc: the digest of the ICC profile that defines the colour space; '' where its name does.
        whole: the rectangle of the whole layer, of which the raster is a part; None where it is the whole.
        whole_digest: of the whole layer's pixels; '' if unknown, or where the raster is the whole.
    """

    digest: str
    width: int
    height: int
    channels: str
    dtype: str
    profile: str
    rect: Rect
    layer: str = ""
    icc: str = ""
    whole: Rect | None = None
    whole_digest: str = ""

    @property
    def layer_rect(self) -> Rect:
        """The rectangle of the whole layer or mask."""
        return self.rect if self.whole is None else self.whole

    @property
    def nbytes(self) -> int:
        """The number of bytes its blob must have."""
        return self.width * self.height * len(self.channels) * DTYPES[self.dtype]

    @classmethod
    def from_wire(cls, value: object) -> Raster:
        """Reads and checks a raster.

        Raises `too-large` (a side or the blob), `unsupported-colour` (the channels), `bad-layer` (sizes, type
        or rectangle that do not agree), `bad-request` (a field is missing or of the wrong kind).
        """
        d = as_object(value)
        if d is None:
            raise bad_request("The layer's description is missing; update the plugin.", value)
        width, height = _side(d.get("width")), _side(d.get("height"))
        channels, dtype, profile = (_name(d, key) for key in ("channels", "dtype", "profile"))
        if channels not in CHANNELS:
            raise VelaturaError(
                "unsupported-colour",
                "Velatura cannot edit this colour model; convert the layer to RGB and try again.",
                detail=f"channels {channels!r}",
            )
        if dtype not in DTYPES:
            raise VelaturaError(
                "bad-layer",
                "Velatura cannot edit this bit depth; convert the layer to 8 or 16 bits and try again.",
                detail=f"dtype {dtype!r}",
            )
        rect = rect_of(d.get("rect"))
        if rect[2:] != (width, height):
            raise VelaturaError(
                "bad-layer",
                "The layer's size and its place in the picture do not agree; try again.",
                detail=f"{width}x{height} in {rect}",
            )
        name = d.get("digest")
        if not is_digest(name):
            raise bad_request("The layer's description has no digest; update the plugin.", name)
        layer = _name({"layer": "", **d}, "layer")
        whole = _whole(d, rect)
        raster = cls(name, width, height, channels, dtype, profile, rect, layer, _icc(d), *whole)
        if raster.nbytes > MAX_BLOB:
            raise VelaturaError("too-large", "The layer is too large; edit a smaller part of it.")
        return raster

    def to_wire(self) -> RasterObject:
        """The object that `from_wire` reads."""
        described: RasterObject = {
            "digest": self.digest,
            "width": self.width,
            "height": self.height,
            "channels": self.channels,
            "dtype": self.dtype,
            "profile": self.profile,
            "rect": list(self.rect),
        }
        if self.layer:
            described["layer"] = self.layer
        if self.icc:
            described["icc"] = self.icc
        if self.whole is not None:
            described["whole"] = list(self.whole)
        if self.whole_digest:
            described["whole_digest"] = self.whole_digest
        return described


@dataclass(frozen=True, eq=False)
class Pixels:
    """Pixels that a host has read. `data` are the bytes; `Raster` explains the other attributes.

    icc: the bytes of the ICC profile; empty where the profile's name defines the colour space.

    The first read of `raster` computes the digest: read it outside the UI thread. Nothing is checked here;
    the daemon refuses an invalid raster.
    """

    data: Bytes
    rect: Rect
    channels: str
    dtype: str
    profile: str
    layer: str = ""
    icc: Bytes = b""
    whole: Rect | None = None
    whole_digest: str = ""

    @cached_property
    def raster(self) -> Raster:
        """The description of these pixels."""
        return Raster(
            digest(self.data),
            *self.rect[2:],
            self.channels,
            self.dtype,
            self.profile,
            self.rect,
            self.layer,
            digest(self.icc) if self.icc else "",
            self.whole,
            self.whole_digest,
        )


def common(a: Rect, b: Rect) -> Rect:
    """The intersection; of width and height 0 if it is empty."""
    left, top = max(a[0], b[0]), max(a[1], b[1])
    width = min(a[0] + a[2], b[0] + b[2]) - left
    height = min(a[1] + a[3], b[1] + b[3]) - top
    return (left, top, width, height) if width > 0 and height > 0 else (left, top, 0, 0)


def touch(a: Rect, b: Rect) -> bool:
    """Whether two rectangles have a pixel in common."""
    return all(max(a[i], b[i]) < min(a[i] + a[i + 2], b[i] + b[i + 2]) for i in (0, 1))


def bad_request(message: str, value: object) -> VelaturaError:
    """The refusal of a value; the value's beginning goes to the log."""
    return VelaturaError("bad-request", message, detail=f"{value!r:.80}")


def _name(d: Mapping[str, object], key: str) -> str:
    value = d.get(key)
    if not isinstance(value, str) or len(value) > MAX_NAME:
        raise bad_request(f"The request's {key} is missing or too long; update the plugin.", value)
    return value


def _icc(d: Mapping[str, object]) -> str:
    value = d.get("icc", "")
    if value == "":
        return ""
    if not is_digest(value):
        sentence = "The request names a colour profile by a digest that is none; update the plugin."
        raise bad_request(sentence, value)
    return value


def _side(value: object) -> int:
    if type(value) is not int:
        raise bad_request("The layer's size is missing; update the plugin.", value)
    if value > MAX_SIDE:
        raise VelaturaError(
            "too-large",
            f"The layer is {value:,} pixels wide or high, more than {MAX_SIDE:,}; edit a smaller part of it.",
        )
    if value < 1:
        raise VelaturaError("bad-layer", "The layer has no pixels; paint something on it.")
    return value


def _whole(d: Mapping[str, object], rect: Rect) -> tuple[Rect | None, str]:
    """Rectangle and digest of the layer that `rect` is a part of; None and '' where it is the whole layer."""
    if d.get("whole") is None:
        return None, ""
    whole = rect_of(d["whole"])
    for side in whole[2:]:
        _side(side)
    if common(whole, rect) != rect:
        raise VelaturaError(
            "bad-layer",
            "The sent part of the layer lies outside the layer; try again.",
            detail=f"{rect} of {whole}",
        )
    name = d.get("whole_digest", "")
    if name == "":
        return whole, ""
    if not is_digest(name):
        raise bad_request("The layer's description has a digest that is none; update the plugin.", name)
    return whole, name


def rect_of(value: object) -> Rect:
    numbers = [as_integer(number, -FAR, FAR) for number in as_list(value) or ()]
    inside = [number for number in numbers if number is not None]
    if not len(numbers) == len(inside) == 4:
        raise bad_request("The layer's place in the picture is missing; update the plugin.", value)
    x, y, width, height = inside
    return x, y, width, height
