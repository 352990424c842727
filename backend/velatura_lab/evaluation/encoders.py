"""The networks that measures look through, behind small protocols; home-made and published ones.

Velatura's own readers have names of their own: their figures cannot be compared with published figures, and
the report never shows the two side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import torch
from safetensors import SafetensorError
from torch import Tensor

from velatura.companions.identity import Identity
from velatura_lab import readers
from velatura_lab.readers import Reading
from velatura_lab.readers.pictures import fit
from velatura_protocol.errors import VelaturaError

from .weights import of_network

T = TypeVar("T")


class Judge(Protocol):
    """Reads the kind and attributes of a picture of the world."""

    def read(self, images: Tensor) -> list[Reading]:
        """Images (N, 3, H, W) in 0..1 -> the reading of each."""
        ...


class ImageText(Protocol):
    """Pictures and texts in one space."""

    def images(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in 0..1 -> unit vectors (N, d)."""
        ...

    def texts(self, texts: Sequence[str]) -> Tensor:
        """N texts -> unit vectors (N, d)."""
        ...


class Perceptual(Protocol):
    """Feature maps for perceptual distance and self-similarity."""

    def layers(self, images: Tensor) -> list[Tensor]:
        """(N, 3, H, W) in 0..1 -> maps of several layers, each (N, C, h, w)."""
        ...

    def places(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) in 0..1 -> features (N, P, d) of P places."""
        ...


class JudgeFeatures:
    """The judge's own feature maps: after each of its strided convolutions, side 64 to 8.

    Self-similarity is taken of the third, 16 x 16 places: fine enough for the shape of a face, coarse
    enough for two pictures that differ by a pixel's shift to be alike.
    """

    def __init__(self, judge: readers.Judge) -> None:
        self._judge = judge

    @torch.no_grad()
    def layers(self, images: Tensor) -> list[Tensor]:
        """See `Perceptual`."""
        x, maps = fit(images) * 2.0 - 1.0, []
        for part in self._judge.body:
            x = part(x)
            if isinstance(part, torch.nn.SiLU):
                maps.append(x)
        return maps

    def places(self, images: Tensor) -> Tensor:
        """See `Perceptual`."""
        return self.layers(images)[2].flatten(2).transpose(1, 2)


@dataclass
class Encoders:
    """The available networks. Measures whose part is None are left out, and `missing` says why.

    Args:
        judge: reads the world's pictures.
        clip: embeds pictures and texts.
        identity: embeds faces.
        features: gives feature maps.
        lpips: (N, 3, H, W) in 0..1, twice -> distances (N,).
        names: part -> name of its network.
        published: whether these are published networks.
        missing: a sentence for each network that is missing.
    """

    judge: Judge | None = None
    clip: ImageText | None = None
    identity: Identity | None = None
    features: Perceptual | None = None
    lpips: Callable[[Tensor, Tensor], Tensor] | None = None
    names: dict[str, str] = field(default_factory=dict)
    published: bool = False
    missing: list[str] = field(default_factory=list)

    def has(self, needs: Sequence[str]) -> bool:
        """Whether all the named parts are available."""
        return all(getattr(self, name) is not None for name in needs)

    def weights(self) -> dict[str, str]:
        """Digest of each part's weights: figures taken through other weights cannot be compared."""
        parts = ("judge", "clip", "identity", "features", "lpips")
        return {name: of_network(getattr(self, name)) for name in parts if self.has([name])}


def required(part: T | None) -> T:
    """The part of `Encoders`, or of a case, that a measure needs. Raises LookupError where it is None."""
    if part is None:
        raise LookupError("a measure was taken without a part that it needs; see Encoders.has")
    return part


def home_made() -> Encoders:
    """Velatura's readers whose weights are available. They are small and run on the CPU."""
    found = Encoders()
    judge = _loaded(readers.load_judge)
    parts: dict[str, tuple[str, Callable[[], Any]]] = {
        "judge": ("Velatura judge", lambda: judge),
        "clip": ("Velatura CLIP", readers.load_clip),
        "identity": ("Velatura identity", readers.load_identity),
    }
    for part, (name, load) in parts.items():
        if (network := _loaded(load)) is None:
            found.missing.append(f"The weights of {name} are missing or of another version.")
        else:
            setattr(found, part, network)
            found.names[part] = name
    if judge is not None:
        found.features = JudgeFeatures(judge)
        found.names["features"] = "Velatura judge's features"
    return found


def _loaded(load: Callable[[], T]) -> T | None:
    """The network, or None where its weights are missing, of another version, or cut off."""
    try:
        return load()
    except (VelaturaError, OSError, KeyError, ValueError, RuntimeError, SafetensorError):
        return None
