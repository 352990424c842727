"""Refusals of maps that cannot be read from a picture. Imports no torch."""

from __future__ import annotations

from importlib.util import find_spec

from velatura_protocol.errors import VelaturaError

from ..headers import read_header
from . import vision
from .kinds import KINDS, KindName
from .listing import GuideFile


def unreadable(kind: KindName) -> VelaturaError:
    """Of a kind that is not read from pictures."""
    return VelaturaError(
        "bad-request",
        f"“{KINDS[kind].title}” cannot be read from a picture; choose a layer that already shows such a map, "
        "and switch on “Is a map”.",
    )


def without_depth() -> VelaturaError:
    """Of depth, where no network reads it."""
    return VelaturaError(
        "unknown-model",
        "Depth is read by a network that is not on this computer; download one, such as Depth Anything V2 "
        "Small, into a folder of models and run `velatura models find`, or choose a layer that shows depth "
        "and switch on “Is a map”.",
    )


def finds_edges() -> bool:
    """Whether OpenCV, which finds edges, is installed."""
    return find_spec("cv2") is not None


def without_edges() -> VelaturaError:
    """Of edges, where OpenCV is missing."""
    return VelaturaError(
        "unknown-model",
        "Edges are found by OpenCV, which is not installed; run `pip install velatura[guides]`, or "
        "choose a layer that shows edges and switch on “Is a map”.",
    )


def without_encoder(guide: GuideFile) -> VelaturaError:
    """Of an IP-Adapter whose image encoder is not on this computer."""
    wanted = vision.reads(read_header(guide.path))
    width = f" of width {wanted.width}" if wanted else ""
    return VelaturaError(
        "unknown-model",
        f"The guide {guide.title!r} lacks its image encoder, a CLIP vision network{width}; put it into "
        "the folder clip_vision beside your models and run `velatura models find`.",
    )
