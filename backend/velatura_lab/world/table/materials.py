"""Materials: clay, wood, metal, glass and plastic under the light."""

from __future__ import annotations

import numpy as np

from ..raster import RGB, Canvas, Colour, Field, mix, smoothstep, waves
from .solids import Light, Surface

PAINTS: dict[str, Colour] = {
    "red": (0.80, 0.11, 0.10),
    "orange": (0.93, 0.48, 0.08),
    "yellow": (0.95, 0.80, 0.14),
    "green": (0.22, 0.58, 0.20),
    "blue": (0.13, 0.34, 0.78),
    "pink": (0.95, 0.55, 0.68),
    "brown": (0.48, 0.28, 0.14),
    "white": (0.94, 0.93, 0.90),
    "black": (0.10, 0.10, 0.11),
}


def tone(colour: Colour | RGB, lit: Field, ambient: float = 0.34) -> RGB:
    """A matte colour under light in 0..1; shadows keep the colour and lean to blue."""
    level = ambient + (1.12 - ambient) * lit
    base = np.asarray(colour, np.float32)
    red, green, blue = base.reshape(-1, 3).mean(axis=0)
    # shaded yellow turns to orange, not to olive
    gold = max(0.0, min(red, green) - blue)
    cast = np.stack([level ** (1.05 - 0.45 * gold), level ** (1.0 - 0.05 * gold), level**0.93], axis=-1)
    return np.clip(base * cast, 0.0, 1.0)


def grain(u: Field, v: Field, seed: int) -> Field:
    """Wood grain in -1..1: long rings that bend along v."""
    a = 0.0007 * (seed % 9973)
    bend = 0.035 * np.sin(5.0 * v + a) + 0.018 * np.sin(13.0 * v + 2.0 * a) + 0.02 * np.sin(9.0 * u + 3.0 * a)
    rings = np.sin(44.0 * (u + bend) + 7.0 * a) * 0.5 + 0.5 * np.sin(71.0 * (u + 0.6 * bend) + a)
    return rings * (0.75 + 0.25 * np.sin(3.0 * v + 11.0 * u))


def coat(
    canvas: Canvas,
    s: Surface,
    colour: str,
    material: str,
    light: Light,
    element: str,
    seed: int,
    foot: float = 0.0,
) -> None:
    """Paint a surface in a colour and a material; clay has no glaze below the height `foot`."""
    paint = np.asarray(PAINTS[colour], np.float32)
    if material == "glass":
        _glass(canvas, s, colour, light, element)
        return
    if material == "metal":
        rgb = _metal(s, paint, colour, light, 1.0 if foot else 0.5)
    elif material == "wood":
        rgb = _wood(s, paint, colour, light, seed)
    elif material == "plastic":
        lit = s.lit(light, 0.55)
        rgb = tone(np.clip(paint * 1.08 + 0.02, 0.0, 1.0), lit, 0.48)
        # ribs of the mould around vessels
        rib = (s.v % 0.13) / 0.13 if foot else np.full_like(s.v, 0.6)
        rgb *= (
            1.0
            - 0.16 * smoothstep(0.22, 0.0, rib)
            + 0.10 * smoothstep(0.22, 0.30, rib) * smoothstep(0.5, 0.32, rib)
        )[..., None]
        rgb += (0.50 * s.gloss(light, 14.0))[..., None] * (1.0 - rgb)
    else:
        lit = s.lit(light, 0.25)
        rng = np.random.default_rng(seed)
        specks = smoothstep(0.85, 1.15, waves(s.u, s.v, rng, 120.0, 120.0, 6))
        glaze = (
            paint * (1.0 - (0.30 if colour not in ("white", "yellow") else 0.16) * specks)[..., None]
            + (0.25 * specks * (colour == "black"))[..., None]
        )
        if foot:  # the glaze ends above the foot in a wavy line; bare clay shows below
            bare = smoothstep(0.004, -0.004, s.v - foot - 0.008 * np.sin(14.0 * s.u / foot * 0.1))
            glaze = mix(glaze, (0.72, 0.50, 0.37), bare)
        rgb = tone(glaze, lit, 0.30)
        rim = (1.0 - s.round) ** 3
        rgb += (0.20 * rim)[..., None] * (1.0 - rgb)
        rgb += (0.92 * smoothstep(0.35, 0.65, s.gloss(light, 70.0)))[..., None] * (1.0 - rgb)
        rgb += (0.16 * s.gloss(light, 7.0))[..., None] * (1.0 - rgb)
    # light reflected by the table
    back = np.clip(-s.ny * 0.8 + 0.15, 0.0, 1.0) * (0.25 if material != "wood" else 0.15)
    rgb += back[..., None] * (np.asarray((0.30, 0.24, 0.18), np.float32) * (0.4 + 0.6 * rgb))
    canvas.paint(np.clip(rgb, 0.0, 1.0), s.alpha, element)


def _wood(s: Surface, paint: RGB, colour: str, light: Light, seed: int) -> RGB:
    lines = grain(s.u, s.v, seed)
    # a stain: the timber shows through
    timber = np.asarray((0.76, 0.56, 0.34), np.float32)
    stain = {"white": 0.60, "black": 0.84, "brown": 0.75}.get(colour, 0.72)
    base = paint * stain + timber * (1.0 - stain)
    dark = base * np.asarray((0.52, 0.46, 0.42), np.float32) + (0.26 if colour == "black" else 0.0)
    body = mix(base * 1.04, dark, smoothstep(-0.3, 0.95, lines) * 0.68)
    rgb = tone(body, s.lit(light, 0.3), 0.32)
    return rgb + (0.07 * s.gloss(light, 8.0))[..., None] * (1.0 - rgb)


def _metal(s: Surface, paint: RGB, colour: str, light: Light, bars: float) -> RGB:
    """A mirror of an invented room: bright window, dark corners, and the table below.

    `bars` is the strength of upright reflections, which turned bodies stretch into stripes.
    """
    side = s.nx * np.sign(light.x) / np.sqrt(np.maximum(1.0 - s.ny * s.ny, 0.05))
    up = 2.0 * s.ny * s.nz + 0.1  # height of the reflected camera ray
    room = 0.40 + 0.30 * smoothstep(0.0, 0.9, up) - (0.46 - 0.24 * bars) * smoothstep(-0.05, -0.55, up)
    upright = bars * smoothstep(0.95, 0.45, np.abs(s.ny - 0.12))
    room += upright * (0.75 * np.exp(-(((side - 0.50) / 0.13) ** 2))) + 0.38 * np.exp(
        -(((side + 0.72) / 0.09) ** 2)
    )
    room -= upright * 0.34 * np.exp(-(((side - 0.12) / 0.20) ** 2)) + 0.25 * np.exp(
        -(((side - 0.86) / 0.10) ** 2)
    )
    room -= upright * 0.25 * np.exp(-(((side + 0.40) / 0.16) ** 2))
    room += 0.8 * smoothstep(0.3, 0.7, s.gloss(light, 40.0))
    room = np.clip(room, 0.05, 1.3)
    silver = {"white": (0.86, 0.87, 0.88), "black": (0.20, 0.20, 0.22)}.get(colour)
    tint = np.asarray(silver, np.float32) if silver else paint * 0.92 + 0.05
    rgb = tint * (0.12 + 1.05 * room)[..., None]
    shine = smoothstep(0.78, 1.15, room) * 0.85
    return np.clip(rgb + shine[..., None] * (1.0 - rgb), 0.0, 1.0)


def _glass(canvas: Canvas, s: Surface, colour: str, light: Light, element: str) -> None:
    """The background, tinted, darkest where the glass is seen edge-on; hard reflections."""
    paint = np.asarray(PAINTS[colour], np.float32)
    edge = (1.0 - np.clip(s.nz, 0.0, 1.0)) ** 1.3
    if colour == "white":
        tint, body = np.asarray((0.90, 0.95, 0.95), np.float32), 0.10
    elif colour == "black":
        tint, body = np.asarray((0.36, 0.36, 0.39), np.float32), 0.22
    else:
        tint, body = np.clip(paint / paint.max(), 0.0, 1.0) ** 0.8 * 0.98 + 0.02, 0.27
    through = canvas.rgb * tint
    glow = np.clip(paint * (1.15 if colour != "white" else 1.0), 0.0, 1.0)
    rgb = through + body * (glow - through)
    # glass focuses light on the side away from the window
    side = s.nx * np.sign(light.x)
    gather = np.exp(-(((side + 0.55) / 0.28) ** 2)) * np.clip(0.8 - s.ny, 0.2, 1.0)
    rgb += (0.30 * gather)[..., None] * (glow * 0.7 + 0.3 - rgb)
    deep = tint * 0.42
    rgb += (0.72 * edge)[..., None] * (rgb * deep - rgb)
    rgb += (0.55 * np.exp(-(((side - 0.62) / 0.055) ** 2)) * smoothstep(0.9, 0.4, np.abs(s.ny)))[
        ..., None
    ] * (1.0 - rgb)
    rgb += (0.30 * np.exp(-(((side + 0.86) / 0.05) ** 2)))[..., None] * (1.0 - rgb)
    rgb += (0.95 * smoothstep(0.3, 0.6, s.gloss(light, 110.0)))[..., None] * (1.0 - rgb)
    canvas.paint(np.clip(rgb, 0.0, 1.0), s.alpha, element)
