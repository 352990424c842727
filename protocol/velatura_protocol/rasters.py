"""The pixels a request names, and the shape of the request (SPEC section 5)."""

from __future__ import annotations

from dataclasses import dataclass

from .errors import VelaturaError
from .messages import is_digest

REQUEST_VERSION = 1
MAX_SIDE = 16384
MAX_BLOB = 4 * 1024**3
MAX_PROMPT = 2000
MAX_VARIATIONS = 64
MAX_SEED = 2**31 - 1
CHANNELS = ("BGRA", "RGBA", "RGB", "GA", "G", "A")
MASK_CHANNELS = ("A", "G")
DTYPES = {"u8": 1, "u16": 2, "f16": 2, "f32": 4}

_MAX_NAME = 200
_FAR = 2**31 - 1  # coordinates and canvas sides lie within +-_FAR


@dataclass(frozen=True)
class Raster:
    """Pixels, described: rows from the top, no padding, little-endian, straight alpha.

    width, height: pixels, 1 ... 16384. channels: one of `CHANNELS`. dtype: a key of `DTYPES`. profile: name
    of the colour space. rect: (x, y, width, height) in pixels of the document; may reach outside the canvas.
    layer: what the person calls what it was read from, so that the edit can be run again; '' if unknown.
    """

    digest: str
    width: int
    height: int
    channels: str
    dtype: str
    profile: str
    rect: tuple[int, int, int, int]
    layer: str = ""

    @property
    def nbytes(self) -> int:
        """The number of bytes its blob must have."""
        return self.width * self.height * len(self.channels) * DTYPES[self.dtype]

    @classmethod
    def from_wire(cls, d: object) -> Raster:
        """Reads and checks a raster.

        Raises `too-large` (a side or the blob), `unsupported-colour` (the channels), `bad-layer` (sizes, type
        or rectangle that do not agree), `bad-request` (a field is missing or of the wrong kind).
        """
        d = _object(d, "The layer's description")
        width, height = _side(d.get("width")), _side(d.get("height"))
        channels, dtype = _name(d, "channels"), _name(d, "dtype")
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
        rect = _rect(d.get("rect"))
        if rect[2:] != (width, height):
            raise VelaturaError(
                "bad-layer",
                "The layer's size and its place in the picture do not agree; try again.",
                detail=f"{width}x{height} in {rect}",
            )
        if not is_digest(d.get("digest")):
            raise _bad("The layer's description has no digest; update the plugin.")
        layer = _name({"layer": "", **d}, "layer")
        raster = cls(d["digest"], width, height, channels, dtype, _name(d, "profile"), rect, layer)
        if raster.nbytes > MAX_BLOB:
            raise VelaturaError("too-large", "The layer is too large; edit a smaller part of it.")
        return raster

    def to_wire(self) -> dict:
        """The object that `from_wire` reads."""
        return {
            "digest": self.digest,
            "width": self.width,
            "height": self.height,
            "channels": self.channels,
            "dtype": self.dtype,
            "profile": self.profile,
            "rect": list(self.rect),
            **({"layer": self.layer} if self.layer else {}),
        }


def check_request(request: object) -> None:
    """Checks everything about a request that needs neither its method nor its pixels.

    Raises what `Raster.from_wire` raises, `bad-request`, `prompt-too-long`, and `mask-outside` where the
    mask's rectangle does not touch the source's.
    """
    request = _object(request, "The request")
    version = _integer(request, "velatura", 1, _FAR)
    if version != REQUEST_VERSION:
        raise _bad(f"The request is of version {version}, which is not known here; update the daemon.")
    _name(request, "method", empty=False)
    _integer(request, "method_version", 0, _FAR)
    model = _object(request.get("model"), "The request's model")
    _name(model, "id")
    if model.get("digest") != "" and not is_digest(model.get("digest")):
        raise _bad("The request names a model by a digest that is none; choose the model again.")
    prompt = request.get("prompt")
    if not isinstance(prompt, str):
        raise _bad("The request has no prompt; update the plugin.", f"prompt {prompt!r:.80}")
    if len(prompt) > MAX_PROMPT:
        raise VelaturaError(
            "prompt-too-long",
            f"The prompt has {len(prompt)} characters, more than {MAX_PROMPT}; shorten it.",
        )
    _integer(request, "seed", -1, MAX_SEED)
    _integer(request, "variations", 1, MAX_VARIATIONS)
    _object(request.get("parameters"), "The request's parameters")
    for key in ("lease", "draft"):
        if not isinstance(request.get(key, False), bool):
            raise _bad(f"The request's {key} is neither true nor false; update the plugin.")
    canvas = request.get("canvas")
    if not (isinstance(canvas, list) and len(canvas) == 2 and all(_within(side, 1, _FAR) for side in canvas)):
        raise _bad("The request does not give the size of the picture; update the plugin.", f"{canvas!r:.80}")
    _check_inputs(_object(request.get("inputs"), "The request's inputs"))


def _check_inputs(inputs: dict) -> None:
    source = Raster.from_wire(inputs.get("source"))
    if source.channels == "A":
        raise VelaturaError("unsupported-colour", "This layer has no colours; choose a layer with colours.")
    if inputs.get("mask") is None:
        return
    mask = Raster.from_wire(inputs["mask"])
    if mask.channels not in MASK_CHANNELS:
        raise VelaturaError(
            "bad-layer",
            "The mask is not a single channel; make a new selection and try again.",
            detail=f"mask channels {mask.channels!r}",
        )
    if not touch(source.rect, mask.rect):
        raise VelaturaError("mask-outside", "The selection does not touch the layer; select a part of it.")


def touch(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether two rectangles have a pixel in common."""
    return all(max(a[i], b[i]) < min(a[i] + a[i + 2], b[i] + b[i + 2]) for i in (0, 1))


def _bad(message: str, detail: str = "") -> VelaturaError:
    return VelaturaError("bad-request", message, detail=detail)


def _object(value: object, what: str) -> dict:
    if not isinstance(value, dict):
        raise _bad(f"{what} is missing; update the plugin.", f"{value!r:.80}")
    return value


def _within(value: object, low: int, high: int) -> bool:
    return type(value) is int and low <= value <= high


def _integer(d: dict, key: str, low: int, high: int) -> int:
    value = d.get(key)
    if not _within(value, low, high):
        raise _bad(f"The request's {key} has to be a whole number from {low} to {high}.", f"{value!r:.80}")
    return value


def _name(d: dict, key: str, *, empty: bool = True) -> str:
    value = d.get(key)
    if not isinstance(value, str) or len(value) > _MAX_NAME or not (value or empty):
        raise _bad(f"The request's {key} is missing or too long; update the plugin.", f"{value!r:.80}")
    return value


def _side(value: object) -> int:
    if type(value) is not int:
        raise _bad("The layer's size is missing; update the plugin.", f"{value!r:.80}")
    if value > MAX_SIDE:
        raise VelaturaError(
            "too-large",
            f"The layer is {value:,} pixels wide or high, more than {MAX_SIDE:,}; edit a smaller part of it.",
        )
    if value < 1:
        raise VelaturaError("bad-layer", "The layer has no pixels; paint something on it.")
    return value


def _rect(value: object) -> tuple[int, int, int, int]:
    if not (isinstance(value, list) and len(value) == 4 and all(_within(v, -_FAR, _FAR) for v in value)):
        raise _bad("The layer's place in the picture is missing; update the plugin.", f"{value!r:.80}")
    x, y, width, height = value
    return x, y, width, height
