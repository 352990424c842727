"""Scene -> picture and masks, at any size and through any window."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .face import make_head, paint_beard, paint_eyes, paint_head, paint_mouth, paint_neck, paint_nose
from .hair import paint_hair_behind, paint_hair_front
from .raster import Canvas, Colour, blob, smoothstep, waves
from .scene import ELEMENTS, Scene
from .wear import paint_glasses, paint_hat, paint_shirt

BACKDROPS: dict[str, Colour] = {
    "grey": (0.55, 0.55, 0.54),
    "blue": (0.38, 0.60, 0.84),
    "green": (0.42, 0.62, 0.42),
    "pink": (0.93, 0.62, 0.70),
    "orange": (0.93, 0.58, 0.26),
    "white": (0.93, 0.92, 0.90),
}


@dataclass(frozen=True)
class View:
    """The window on the scene: its centre (the whole spans -1..1) and how far it is zoomed in."""

    x: float = 0.0
    y: float = 0.0
    zoom: float = 1.0


@dataclass(frozen=True)
class Picture:
    """`rgb` (H, W, 3) in 0..1 and `masks` (8, H, W) in the order of ELEMENTS, summing to one."""

    rgb: NDArray[np.float32]
    masks: NDArray[np.float32]

    def mask(self, element: str) -> NDArray[np.float32]:
        """Soft mask (H, W) of one element."""
        return self.masks[ELEMENTS.index(element)]

    def to_bytes(self) -> NDArray[np.uint8]:
        return np.round(self.rgb * 255.0).astype(np.uint8)


def render(scene: Scene, size: int, view: View = View()) -> Picture:
    """Draw the scene as a size x size picture.  The same arguments give the same bytes."""
    canvas = Canvas(size, (view.x, view.y), view.zoom, ELEMENTS)
    _paint_backdrop(canvas, scene)
    head = make_head(canvas, scene)
    paint_hair_behind(canvas, scene, head)
    paint_neck(canvas, scene, head)
    paint_shirt(canvas, scene, head)
    paint_head(canvas, scene, head)
    for paint, low, high in ((paint_nose, -0.6, 0.65), (paint_eyes, -0.6, 0.25)):
        if window := head.window(canvas, low, high):
            paint(window[0], scene, window[1])
    if scene.beard:
        paint_beard(canvas, scene, head)
    if window := head.window(canvas, 0.2, 0.95):
        paint_mouth(window[0], scene, window[1])
    paint_hair_front(canvas, scene, head)
    if scene.glasses != "none":
        paint_glasses(canvas, scene, head)
    if scene.hat != "none":
        paint_hat(canvas, scene, head)
    return Picture(_develop(canvas.rgb, scene), canvas.shares)


def _paint_backdrop(canvas: Canvas, scene: Scene) -> None:
    """A studio backdrop: a soft pool of light on the side the light falls, darker corners."""
    s = scene.setting
    rng = np.random.default_rng(scene.identity.texture + 6)
    pool = blob(canvas.x, canvas.y, -0.55 * s.light, -0.15, 0.9, 1.0)
    mottle = waves(canvas.x, canvas.y, rng, 3.5, 3.5)
    base = np.asarray(BACKDROPS[scene.background], np.float32)
    tone = 0.84 + 0.22 * pool + 0.025 * mottle - 0.10 * smoothstep(0.9, 1.6, np.hypot(canvas.x, canvas.y))
    canvas.rgb[:] = np.clip(base * tone[..., None], 0.0, 1.0)


def _develop(rgb: NDArray[np.float32], scene: Scene) -> NDArray[np.float32]:
    """White balance, exposure and a gentle contrast curve, as a camera applies them."""
    s = scene.setting
    balance = np.asarray((1.0 + 0.025 * s.warmth, 1.0, 1.0 - 0.03 * s.warmth), np.float32)
    graded = np.clip(rgb * (balance * np.float32(1.0 + 0.05 * s.exposure)), 0.0, 1.0)
    curve = graded * graded * (3.0 - 2.0 * graded)
    return np.clip(0.80 * graded + 0.20 * curve, 0.0, 1.0)
