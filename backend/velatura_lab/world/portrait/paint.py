"""Scene -> picture: the order in which the parts of a portrait are painted."""

from __future__ import annotations

import numpy as np

from ..raster import Canvas
from .backdrop import paint_backdrop
from .beard import paint_beard
from .face import make_head, paint_head, paint_neck
from .features import paint_eyes, paint_mouth, paint_nose
from .hair import paint_hair_behind, paint_hair_front, paint_scalp
from .scene import Portrait, Setting
from .wear import paint_glasses, paint_hat, paint_shirt


def paint(canvas: Canvas, scene: Portrait) -> None:
    """Paint the portrait, and each element's share of every pixel."""
    paint_backdrop(canvas, scene)
    head = make_head(canvas, scene)
    paint_hair_behind(canvas, scene, head)
    paint_neck(canvas, scene, head)
    paint_shirt(canvas, scene, head)
    paint_head(canvas, scene, head)
    for feature, low, high in ((paint_nose, -0.6, 0.65), (paint_eyes, -0.6, 0.25)):
        if window := head.window(canvas, low, high):
            feature(window[0], scene, window[1])
    if scene.beard and (window := head.window(canvas, -0.1, 2.0, reach=1.1)):
        paint_beard(window[0], scene, window[1])
    if window := head.window(canvas, 0.2, 0.98):
        paint_mouth(window[0], scene, window[1])
    if scene.hair_style == "none":
        paint_scalp(canvas, head)
    else:
        paint_hair_front(canvas, scene, head)
    if scene.glasses != "none" and (window := head.window(canvas, -0.6, 0.5, reach=1.1)):
        paint_glasses(window[0], scene, window[1])
    if scene.hat != "none":
        paint_hat(canvas, scene, head)
    _develop(canvas, scene.setting)


def _develop(canvas: Canvas, setting: Setting) -> None:
    """White balance, exposure and a gentle contrast curve, as a camera applies them."""
    balance = np.asarray((1.0 + 0.025 * setting.warmth, 1.0, 1.0 - 0.03 * setting.warmth), np.float32)
    graded = np.clip(canvas.rgb * (balance * np.float32(1.0 + 0.05 * setting.exposure)), 0.0, 1.0)
    curve = graded * graded * (3.0 - 2.0 * graded)
    canvas.rgb[:] = np.clip(0.80 * graded + 0.20 * curve, 0.0, 1.0)
