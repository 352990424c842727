"""The marks of age on a face: lines, folds, hollows and spots, as soft creases of shadow beside light."""

from __future__ import annotations

import numpy as np

from ..raster import Canvas, Field, blob, smoothstep, waves
from .head import Head
from .scene import Portrait

FOLD = (0.50, 0.38, 0.36)  # the shadow in a crease; blood shows through it


def _crease(
    canvas: Canvas, across: Field, along: Field, width: float, strength: float, inside: Field
) -> None:
    """A line at across = 0 for |along| < 1 that fades out at its ends, with light on its lower edge."""
    fade = inside * smoothstep(1.0, 0.45, np.abs(along))
    canvas.shade(FOLD, min(strength, 1.0) * fade * np.exp(-((across / width) ** 2)))
    canvas.glow(0.10 * min(strength, 1.0), fade * np.exp(-(((across - 1.9 * width) / width) ** 2)))


def paint_wear(canvas: Canvas, scene: Portrait, head: Head, inside: Field) -> None:
    """Forehead, frown, cheeks and jaw, within the mask `inside` of the face; drawn before the features."""
    worn, f, g = head.worn, head.f, head.g
    rng = np.random.default_rng(scene.identity.texture + 7)
    mottle = waves(f, g, rng, 21.0, 21.0, 4)
    canvas.shade((0.86, 0.76, 0.70), 0.55 * worn * inside * smoothstep(0.2, 1.4, mottle))
    for k, level in enumerate((-0.44, -0.535, -0.63)):
        wave = level + 0.022 * np.cos(f * (5.0 + k) + 0.4 * k) + 0.05 * f * f
        _crease(canvas, g - wave, (f - 0.03 * (k - 1)) / (0.56 - 0.07 * k), 0.021, 0.80 * worn, inside)
    for side in (-1.0, 1.0):
        sf = side * f
        frown = sf - 0.055 - 0.05 * (-0.25 - g)
        _crease(canvas, frown, (g + 0.28) / 0.13, 0.017, 0.65 * worn, inside)
        # from the wing of the nose down past the corner of the mouth
        t = np.clip((g - 0.24) / 0.42, 0.0, 1.0)
        _crease(canvas, sf - 0.17 - 0.25 * t**0.8, (g - 0.45) / 0.26, 0.028, 0.95 * worn, inside)
        _crease(canvas, sf - 0.33 - 0.06 * (g - 0.70), (g - 0.73) / 0.14, 0.032, 0.45 * worn, inside)
        hollow = blob(sf, g, 0.47, 0.42, 0.11, 0.20)
        canvas.shade((0.72, 0.62, 0.60), 0.62 * worn * inside * hollow)
        canvas.shade((0.74, 0.62, 0.60), 0.55 * worn * inside * blob(sf, g, 0.33, 0.88, 0.16, 0.07))
        canvas.glow(0.12 * worn, inside * blob(sf, g, 0.46, 0.70, 0.10, 0.08))
        canvas.shade((0.76, 0.64, 0.62), 0.6 * worn * inside * blob(sf, g, 0.60, -0.28, 0.09, 0.17))


def paint_eye_lines(canvas: Canvas, head: Head, side: float, apart: float, wide: float, level: float) -> None:
    """Crow's feet and the bag under one eye."""
    worn = head.worn
    du, dv = (head.f - side * apart) * side, head.g - level
    face = canvas.share("face")
    for slope in (-0.55, -0.05, 0.48):
        start = du - wide - 0.035
        _crease(canvas, dv - 0.02 - slope * start, (start - 0.055) / 0.075, 0.015, 0.75 * worn, face)
    bag = 0.105 + 0.055 * (1.0 - (du / wide) ** 2)
    _crease(canvas, dv - bag, (du + 0.01) / (wide * 1.05), 0.022, 0.85 * worn, face)
    canvas.shade((0.84, 0.70, 0.72), 0.6 * worn * face * blob(du, dv, -0.01, 0.125, wide * 0.85, 0.045))


def paint_neck_folds(canvas: Canvas, x: Field, y: Field, worn: float, inside: Field) -> None:
    """Rings around the neck; x and y in half head heights from the head's centre."""
    for level, reach in ((1.20, 0.50), (1.35, 0.42)):
        ring = y - level + 0.30 * x * x
        _crease(canvas, ring, (x + 0.08 * (level - 1.27) * 10.0) / reach, 0.030, 0.45 * worn, inside)
