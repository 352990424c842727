"""Head and neck, without the features."""

from __future__ import annotations

import numpy as np

from ..raster import RGB, Canvas, Colour, Field, blob, each, ellipse, mix, smoothstep
from .age import paint_neck_folds, paint_wear
from .head import Head
from .scene import Portrait

SKIN_COLOURS: dict[str, Colour] = {
    "light": (0.96, 0.79, 0.69),
    "tan": (0.83, 0.61, 0.45),
    "dark": (0.52, 0.34, 0.24),
}
HAIR_PAINT: dict[str, Colour] = {
    "black": (0.11, 0.09, 0.09),
    "brown": (0.38, 0.22, 0.12),
    "blond": (0.90, 0.72, 0.38),
    "red": (0.73, 0.28, 0.10),
    "grey": (0.70, 0.70, 0.71),
}


def make_head(canvas: Canvas, scene: Portrait) -> Head:
    s, i = scene.setting, scene.identity
    man = scene.person == "man"
    dx, dy = canvas.x - s.centre_x, canvas.y - s.centre_y
    cos, sin = np.cos(s.tilt) / s.scale, np.sin(s.tilt) / s.scale
    u, v = dx * cos + dy * sin, dy * cos - dx * sin
    worn = scene.age**1.4
    width = (0.755 if man else 0.715) + 0.035 * i.head_width
    nx, ny = np.clip(u / 0.95, -1.0, 1.0), np.clip(v / 1.25, -1.0, 1.0)
    nz = np.sqrt(np.clip(1.0 - 0.8 * nx * nx - 0.6 * ny * ny, 0.05, 1.0))
    norm = np.sqrt(s.light**2 + s.light_height**2 + 1.0)
    lit = np.clip((nx * s.light - ny * s.light_height + nz) / norm, 0.0, 1.0)
    return Head(
        u=u,
        v=v,
        f=u - s.turn,
        g=v,
        width=width,
        chin=1.0 + 0.035 * i.chin + (0.03 if man else 0.0),
        jaw=(2.35 if man else 2.02) + 0.22 * i.jaw + 0.40 * worn,  # cheeks sag to the jaw
        light=s.light,
        lit=lit,
        worn=worn,
    )


def skin_base(scene: Portrait) -> Colour:
    shift = 0.035 * scene.identity.skin_shift
    red, green, blue = SKIN_COLOURS[scene.skin]
    red, green, blue = red + shift, green + shift, blue + 0.8 * shift
    grey, faded = (red + green + blue) / 3.0, 0.16 * scene.age**1.4  # skin pales with age
    return red + faded * (grey - red), green + faded * (grey - green), blue + faded * (grey - blue)


def skin_paint(scene: Portrait, lit: Field) -> RGB:
    """Skin under the light: shadows warm and saturated, as light scatters beneath the skin."""
    red, green, blue = skin_base(scene)
    shadow = (red * 0.60, green * 0.46, blue * 0.43)
    bright = each(lambda c: c + 0.32 * (1.0 - c) * c, (red, green, blue))
    dim = mix(shadow, (red, green, blue), smoothstep(0.10, 0.72, lit))
    return dim + smoothstep(0.70, 1.0, lit)[..., None] * (np.asarray(bright, np.float32) - dim)


def paint_neck(canvas: Canvas, scene: Portrait, head: Head) -> None:
    s = scene.setting
    half = (0.44 if scene.person == "man" else 0.35) * s.scale
    x = canvas.x - s.centre_x - 0.3 * np.float32(np.sin(-s.tilt)) * s.scale
    y = canvas.y - s.centre_y
    flare = half + 0.5 * np.maximum(y - 1.12 * s.scale, 0.0)
    shape = np.maximum(np.abs(x) - flare, 0.35 * s.scale - y)
    roundness = np.clip(1.0 - (x / (half * 1.05)) ** 2, 0.0, 1.0)
    lit = np.clip(0.30 + 0.42 * roundness + 0.55 * s.light * x / half * 0.5, 0.0, 1.0)
    canvas.paint(skin_paint(scene, lit), canvas.cover(shape), "face")
    if head.worn > 0.02:
        paint_neck_folds(canvas, x / s.scale, y / s.scale, head.worn, canvas.cover(shape))
    under = blob(
        canvas.x,
        canvas.y,
        s.centre_x - 0.06 * s.light,
        s.centre_y + 0.98 * s.scale,
        0.62 * s.scale,
        0.30 * s.scale,
    )
    canvas.shade((0.66, 0.55, 0.52), under * canvas.cover(shape))


def paint_head(canvas: Canvas, scene: Portrait, head: Head) -> None:
    paint = skin_paint(scene, head.lit)
    for side in (-1.0, 1.0):
        ear = ellipse(head.u, head.v, side * (head.width + 0.015), 0.02, 0.115, 0.20)
        canvas.paint(paint * 0.93, canvas.cover(ear), "face")
        canvas.shade(
            (0.72, 0.60, 0.58), 0.8 * blob(head.u, head.v, side * (head.width + 0.03), 0.02, 0.05, 0.11)
        )
    inside = canvas.cover(head.outline())
    canvas.paint(paint, inside, "face")
    f, g = head.f, head.g
    blush = (0.45 if scene.person == "man" else 0.8) * (1.0 - 0.6 * head.worn)
    canvas.shade((0.78, 0.66, 0.64), inside * smoothstep(0.84, 1.0, head.outline() + 1.0) * 0.75)
    for side in (-1.0, 1.0):
        canvas.shade(
            (1.0, 0.84, 0.82),
            blush * inside * blob(f, g, side * 0.42, 0.24, 0.20, 0.17),
        )
        canvas.shade((0.80, 0.70, 0.68), 0.8 * inside * blob(f, g, side * 0.29, -0.10, 0.23, 0.15))
    if head.worn > 0.02:
        paint_wear(canvas, scene, head, inside)
    canvas.glow(0.16 * (1.0 - 0.5 * head.worn), inside * blob(f, g, 0.25 * head.light, -0.48, 0.30, 0.20))
    canvas.glow(0.14, inside * blob(f, g, 0.40 * np.sign(head.light), 0.13, 0.13, 0.12))
