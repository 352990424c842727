"""Scene -> picture and masks, at any size, through any window, in the scene's style."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import style
from .raster import Canvas
from .scene import kind_of, scene_seed


@dataclass(frozen=True)
class View:
    """The window on the scene: its centre (the scene spans -1..1) and its zoom."""

    x: float = 0.0
    y: float = 0.0
    zoom: float = 1.0


@dataclass(frozen=True)
class Picture:
    """`rgb` (H, W, 3) in 0..1 and `masks` (E, H, W) in the order of `elements`, summing to one."""

    rgb: NDArray[np.float32]
    masks: NDArray[np.float32]
    elements: tuple[str, ...]

    def mask(self, element: str) -> NDArray[np.float32]:
        """Soft mask (H, W) of one element."""
        return self.masks[self.elements.index(element)]

    def shows(self, element: str, least: float = 0.002) -> bool:
        """Whether an element covers at least the share `least` of the picture."""
        return bool(self.mask(element).mean() >= least)

    def to_bytes(self) -> NDArray[np.uint8]:
        return np.round(self.rgb * 255.0).astype(np.uint8)


def render(scene: Any, size: int, view: View = View()) -> Picture:
    """Draw the scene as a size x size picture.  The same arguments give the same bytes."""
    kind = kind_of(scene)
    canvas = Canvas(size, (view.x, view.y), view.zoom, kind.ELEMENTS)
    seed = scene_seed(scene)
    style.warp(canvas, scene.style, seed)
    kind.paint(canvas, scene)
    # rounding can leave a share slightly outside of 0..1
    masks = np.clip(canvas.shares, 0.0, 1.0)
    return Picture(style.finish(canvas, scene.style, seed), masks, kind.ELEMENTS)
