"""A landscape from back to front: sky, mountains, land, water or street, building, trees, the camera."""

from __future__ import annotations

import numpy as np

from ..raster import Canvas, smoothstep
from .backdrop import make_ridges, paint_clouds, paint_mountains, paint_sky, paint_stars, paint_sun
from .buildings import paint_building
from .ground import Ground, paint_ground, paint_street, paint_water
from .light import light_of
from .plants import paint_boulders, paint_forest, paint_trees, plant_trees
from .scene import Landscape


def paint(canvas: Canvas, scene: Landscape) -> None:
    """Paint the scene's colours and shares on the canvas, as a photograph."""
    light = light_of(scene)
    ridges, ground = make_ridges(scene), Ground.of(scene)
    horizon = scene.layout.horizon
    rows = canvas.y.min(1) < horizon + 0.06
    last = int(rows.sum())
    if last > 1:
        above = canvas.window(slice(0, last), slice(None))
        paint_sky(above, scene, light)
        if scene.time == "night":
            paint_stars(above, scene)
        paint_sun(above, scene)
        paint_clouds(above, scene, light)
        crest = min(float(ridge.line.values.min()) for ridge in ridges) - 0.05
        first = int((canvas.y.max(1) < crest).sum())
        if last - first > 1:
            paint_mountains(canvas.window(slice(first, last), slice(None)), scene, light, ridges)
    first = int((canvas.y.max(1) < float(ground.top.values.min()) - 0.05).sum())
    if len(canvas.y) - first > 1:
        below = canvas.window(slice(first, None), slice(None))
        paint_ground(below, scene, light, ground)
        if scene.path in ("river", "lake"):
            paint_water(below, scene, light, ridges, ground)
        elif scene.path == "street":
            paint_street(below, scene, light)
    paint_building(canvas, scene, light, ground)
    paint_boulders(canvas, scene, light)
    if scene.path == "forest":
        paint_forest(canvas, scene, light, ground)
    if scene.trees != "none":
        paint_trees(canvas, scene, light, plant_trees(scene, ground))
    _develop(canvas, scene)


def _develop(canvas: Canvas, scene: Landscape) -> None:
    """Vignette, white balance, exposure and a gentle contrast curve, as a camera applies them."""
    p = scene.layout
    corner = smoothstep(0.75, 1.55, np.hypot(canvas.x, canvas.y))
    balance = np.asarray((1.0 + 0.035 * p.warmth, 1.0, 1.0 - 0.045 * p.warmth), np.float32)
    gain = (1.0 + 0.06 * p.exposure) * (1.0 - 0.26 * corner)
    graded = np.clip(canvas.rgb * gain[..., None] * balance, 0.0, 1.0)
    curve = graded * graded * (3.0 - 2.0 * graded)
    canvas.rgb[:] = 0.72 * graded + 0.28 * curve
