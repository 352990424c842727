"""Shirt, glasses and hat."""

from __future__ import annotations

import numpy as np

from ..raster import RGB, Canvas, Colour, Field, blob, ellipse, mix, smoothstep, waves
from .head import Head
from .scene import Portrait

CLOTH: dict[str, Colour] = {
    "red": (0.80, 0.13, 0.13),
    "blue": (0.14, 0.32, 0.74),
    "green": (0.15, 0.52, 0.25),
    "yellow": (0.95, 0.78, 0.14),
    "purple": (0.48, 0.20, 0.62),
    "black": (0.10, 0.10, 0.11),
    "white": (0.94, 0.93, 0.91),
}


def _cloth(colour: str, light: Field) -> RGB:
    """Cloth (H, W, 3) under the light (H, W) in 0..1; about 0.75 shows the cloth's own colour."""
    base = np.asarray(CLOTH[colour], np.float32)
    if colour == "black":  # black cloth shows its folds by reflection only
        return np.clip(base + 0.16 * (light[..., None] - 0.6), 0.02, 1.0)
    return np.clip(base * (0.42 + 0.72 * light[..., None]), 0.0, 1.0)


def paint_shirt(canvas: Canvas, scene: Portrait, head: Head) -> None:
    s, man = scene.setting, scene.person == "man"
    rng = np.random.default_rng(scene.identity.texture + 5)
    x, y = (canvas.x - s.centre_x) / s.scale, (canvas.y - s.centre_y) / s.scale
    half = 1.62 if man else 1.38
    shoulder = 1.22 + 0.16 * np.abs(x) + 0.75 * smoothstep(0.72 * half, 1.08 * half, np.abs(x))
    neck_wide = 0.52 if man else 0.50
    if s.collar > 0.2:  # V-neck
        opening = np.maximum(np.abs(x) - neck_wide * np.clip((1.75 - y) / 0.55, 0.0, 1.0), 0.9 - y)
    else:
        opening = ellipse(x, y, 0.0, 1.12, neck_wide, 0.30 if man else 0.36)
    shape = np.maximum(shoulder - y, -opening)
    folds = 0.10 * waves(x + 0.5 * y, y - 0.3 * np.abs(x), rng, 5.0, 4.0) + 0.05 * waves(x, y, rng, 13.0, 9.0)
    light = 0.66 + 0.22 * s.light * x - 0.16 * (y - 1.4) + folds - 0.10 * np.abs(x)
    alpha = canvas.cover(shape)
    canvas.shade((0.62, 0.52, 0.50), 0.7 * canvas.cover(shape, 0.09) * (1.0 - alpha) * canvas.share("face"))
    light = np.clip(light, 0.0, 1.1)
    canvas.paint(_cloth(scene.shirt_colour, light), alpha, "shirt")
    if scene.shirt_pattern == "striped":
        # stripes follow folds and chest
        stripes = 0.45 - np.sin(39.0 * (y - 0.12 * x * x + 0.10 * folds))
        colour = (0.40, 0.41, 0.43) if scene.shirt_colour == "white" else (0.93, 0.92, 0.90)
        painted = np.asarray(colour, np.float32) * (0.42 + 0.72 * light[..., None])
        canvas.paint(np.clip(painted, 0.0, 1.0), alpha * canvas.cover(stripes))
    edge = np.maximum(np.abs(opening) - (0.045 if s.collar > 0.2 else 0.075), shoulder - y)
    trim = canvas.cover(edge) * alpha
    if scene.shirt_colour == "black":
        canvas.glow(0.07, trim)
    else:
        canvas.shade((0.84, 0.84, 0.84), trim)
    canvas.shade((0.62, 0.62, 0.66), alpha * 0.75 * blob(x, y, -0.25 * s.light, 1.20, 0.62, 0.30))


def paint_glasses(canvas: Canvas, scene: Portrait, head: Head) -> None:
    """Spectacles with thick dark frames, or sunglasses with dark lenses."""
    dark = scene.glasses == "sunglasses"
    grow = 0.70 + 0.60 * scene.glasses_size
    level, rx, ry = -0.055, 0.265 * grow, (0.215 if dark else 0.205) * grow
    apart = max(0.325 + 0.015 * scene.identity.eye_spacing, rx + 0.04)
    power = 2.3 + 0.7 * abs(scene.identity.iris)
    f, g = head.f, head.g + (0.05 * np.abs(head.f) if dark else 0.0)
    left, right = (ellipse(f, g, side * apart, level, rx, ry, power) for side in (-1.0, 1.0))
    lens = np.minimum(left, right)
    inside = canvas.cover(lens)
    canvas.shade(
        (0.66, 0.56, 0.54),
        0.5
        * canvas.cover(
            np.minimum(*(ellipse(f, g, side * apart, level + 0.05, rx, ry, power) for side in (-1.0, 1.0))),
            0.05,
        )
        * (1.0 - inside),
    )
    slant = f * 0.8 + g - level
    if dark:
        canvas.paint(
            mix((0.03, 0.03, 0.04), (0.26, 0.22, 0.21), smoothstep(-0.18, 0.2, g - level)),
            inside * 0.97,
            "glasses",
            inside,
        )
        canvas.glow(0.30, inside * smoothstep(-0.16, -0.10, slant) * smoothstep(0.0, -0.06, slant))
    else:
        canvas.paint((0.86, 0.93, 1.0), inside * 0.12, "glasses", inside * 0.5)
        canvas.glow(0.30, inside * smoothstep(-0.13, -0.09, slant) * smoothstep(0.0, -0.04, slant))
    rim = np.abs(lens * ry) - (0.022 if dark else 0.028)
    bridge = np.maximum(
        np.abs(g - level + 0.06 + 0.05 * np.cos(f * 9.0)) - 0.026, np.abs(f) - (apart - rx + 0.03)
    )
    arms = np.maximum(
        np.abs(g - level + 0.07) - 0.030,
        np.maximum(apart + rx - 0.03 - np.abs(f), np.abs(head.u) - head.width - 0.01),
    )
    frame = canvas.cover(np.minimum(np.minimum(rim, bridge), arms))
    canvas.paint((0.07, 0.05, 0.05), frame, "glasses")
    canvas.glow(
        0.22,
        frame * smoothstep(0.02, 0.10, level - 0.08 - g) * smoothstep(-0.5, 0.5, f * np.sign(head.light)),
    )


def paint_hat(canvas: Canvas, scene: Portrait, head: Head) -> None:
    if scene.hat == "beanie":
        _paint_beanie(canvas, scene, head)
    else:
        _paint_brimmed(canvas, scene, head)


def _shadow_below(canvas: Canvas, head: Head, edge: Field, alpha: Field) -> None:
    """The hat's shadow on forehead and hair; `edge` is the height below the hat's rim."""
    cast = smoothstep(0.28, 0.0, edge) * (canvas.share("face") + canvas.share("hair")) * (1.0 - alpha)
    canvas.shade((0.60, 0.50, 0.48), 0.75 * cast)


def _paint_brimmed(canvas: Canvas, scene: Portrait, head: Head) -> None:
    u, v = head.u, head.v
    level = -0.56
    half = head.width + 0.10 + 0.16 * np.clip((v + 1.5) / 0.9, 0.0, 1.0)
    crown = np.maximum(
        np.maximum(np.abs(u) - half, v - level),
        -1.34 + 0.05 * np.exp(-((u / 0.22) ** 2)) + 0.16 * np.abs(u) ** 3 - v,
    )
    bend = v - level + 0.10 * (u / 1.3) ** 2
    brim = ellipse(u, bend, 0.0, 0.0, 1.27, 0.155)
    alpha = canvas.cover(np.minimum(crown, brim * 0.155))
    _shadow_below(canvas, head, v - level - 0.10, alpha)
    light = np.clip(
        0.56 + 0.40 * head.light * u + 0.30 * np.sqrt(np.clip(1.0 - (u / 1.05) ** 2, 0.0, 1.0)) - 0.12,
        0.05,
        1.0,
    )
    canvas.paint(_cloth(scene.hat_colour, light), canvas.cover(crown), "hat")
    band = canvas.cover(np.maximum(crown, level - 0.26 - v))
    if scene.hat_colour == "black":
        canvas.glow(0.16, band)
    else:
        canvas.shade((0.42, 0.40, 0.40), band)
    rim_light = np.clip(
        0.80
        + 0.25 * head.light * u
        - 2.2 * np.maximum(bend, 0.0)
        - 0.8 * blob(u, bend, 0.0, -0.11, 0.8, 0.06),
        0.1,
        1.05,
    )
    canvas.paint(_cloth(scene.hat_colour, rim_light), canvas.cover(brim), "hat")


def _paint_beanie(canvas: Canvas, scene: Portrait, head: Head) -> None:
    u, v = head.u, head.v
    half = head.width + 0.13
    low = -0.44 + 0.10 * (u / half) ** 2
    dome = np.maximum(np.sqrt((u / half) ** 2 + ((v + 0.40) / 0.98) ** 2) - 1.0, v - low)
    cuff = np.maximum(np.abs(u) - half - 0.015, np.maximum(low - 0.30 - v, v - low))
    alpha = canvas.cover(np.minimum(dome, cuff))
    _shadow_below(canvas, head, v - low, alpha)
    around = np.arcsin(np.clip(u / (half + 0.02), -0.999, 0.999))
    ribs = np.sin(around * 34.0)
    light = 0.42 + 0.30 * head.light * u + 0.42 * np.cos(around) - 0.12 * smoothstep(-0.9, -1.35, v)
    canvas.paint(
        _cloth(scene.hat_colour, np.clip(light + 0.05 * ribs, 0.05, 1.05)), canvas.cover(dome), "hat"
    )
    canvas.shade((0.72, 0.72, 0.74), canvas.cover(dome) * smoothstep(0.12, 0.0, low - 0.30 - v) * 0.8)
    canvas.paint(
        _cloth(scene.hat_colour, np.clip(light + 0.08 + 0.09 * ribs, 0.05, 1.1)), canvas.cover(cuff), "hat"
    )
