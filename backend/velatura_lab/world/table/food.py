"""Food: apple, pear, cake, and the basket of apples."""

from __future__ import annotations

import numpy as np

from ..raster import RGB, Canvas, blob, mix, smoothstep, waves
from .materials import PAINTS, tone
from .solids import TILT, Light, Turned, inflate, window
from .wares import Item

STRAW = {"brown": (0.82, 0.60, 0.34)}
CAKE = ((0.0, 0.86), (0.9, 0.86), (1.0, 0.84))
BASKET = ((0.0, 0.66), (0.1, 0.70), (0.6, 0.86), (1.0, 0.95))


def paint_apple(
    canvas: Canvas, x: float, y: float, r: float, colour: str, light: Light, seed: int, lean: float = 0.0
) -> None:
    """An apple of radius r that stands at (x, y): dimple, stalk, leaf, streaks."""
    cy = y - 0.80 * r
    if (part := window(canvas, x - 1.15 * r, cy - 1.6 * r, x + 1.15 * r, cy + 1.1 * r)) is None:
        return
    dx, dy = (part.x - x) / r, (part.y - cy) / r
    dx = dx + lean * dy
    angle = np.arctan2(dy, dx)
    # wide shoulders, narrower foot, a hollow where the stalk is
    radius = 0.97 - 0.05 * np.sin(angle) - 0.10 * np.exp(-(((np.abs(angle + 1.5708)) / 0.32) ** 2))
    radius -= 0.05 * np.exp(-((np.abs(angle - 1.5708) / 0.30) ** 2))
    radius += 0.045 * np.exp(-(((np.abs(angle + 1.5708) - 0.85) / 0.4) ** 2))
    s = inflate(part, np.hypot(dx, dy * 1.06) / radius - 1.0, x, cy)
    rng = np.random.default_rng(seed + 11)
    streaks = waves(angle, np.hypot(dx, dy + 0.75), rng, 26.0, 3.0, 4)
    paint = np.asarray(PAINTS[colour], np.float32)
    blush = np.asarray(
        {"red": (0.93, 0.66, 0.22), "green": (0.80, 0.84, 0.34), "yellow": (0.93, 0.48, 0.16)}.get(
            colour, tuple(0.6 * paint + 0.4)
        ),
        np.float32,
    )
    if colour == "green":
        paint = np.asarray((0.42, 0.66, 0.16), np.float32)
    near = smoothstep(1.0, 0.1, np.hypot(dx * 0.8 + 0.2 * np.sin(seed), dy + 0.80))
    rgb = mix(paint, blush, np.clip(0.55 * near + 0.10 * streaks + 0.02, 0.0, 0.8))
    rgb = tone(rgb, s.lit(light, 0.3), 0.30)
    rgb += (0.12 * s.gloss(light, 6.0) + 0.62 * s.gloss(light, 38.0))[..., None] * (1.0 - rgb)
    part.paint(np.clip(rgb, 0.0, 1.0), s.alpha, "apple")
    part.shade((0.45, 0.35, 0.25), 0.75 * s.alpha * np.exp(-((dx / 0.26) ** 2) - ((dy + 0.72) / 0.12) ** 2))
    stem = np.maximum(np.abs(dx - 0.10 * (dy + 0.7) ** 2 * 3.0) - 0.045, np.abs(dy + 0.92) - 0.24)
    part.paint((0.30, 0.19, 0.09), part.cover(stem), "apple")
    lx, ly = dx - 0.28, dy + 1.06
    leaf = np.hypot((lx * 0.90 - ly * 0.43) / 0.26, (lx * 0.43 + ly * 0.90) / 0.10) - 1.0
    part.paint(
        mix((0.20, 0.42, 0.12), (0.45, 0.66, 0.25), smoothstep(0.1, -0.1, ly)), part.cover(leaf), "apple"
    )


def paint_pear(canvas: Canvas, item: Item, light: Light) -> None:
    r = 0.25 * item.scale
    x, cy = item.x, item.y - 0.86 * r
    if (part := window(canvas, x - 1.3 * r, cy - 2.5 * r, x + 1.3 * r, cy + 1.1 * r)) is None:
        return
    dx, dy = (part.x - x) / r, (part.y - cy) / r
    dx = dx - 0.10 * item.turn * np.minimum(dy, 0.0) ** 2 * 0.5
    # a large round below melts into a small one above
    wide = 1.0 - 0.52 * smoothstep(0.1, -1.35, dy)
    f = np.hypot(dx / wide, np.where(dy > 0.0, dy, dy * 0.56)) - 1.0
    s = inflate(part, f, x, cy)
    rng = np.random.default_rng(item.seed + 12)
    paint = np.asarray((0.60, 0.70, 0.18) if item.colour == "green" else PAINTS[item.colour], np.float32)
    other = np.clip(paint * np.asarray((0.86, 0.62, 0.5), np.float32) + 0.06, 0.0, 1.0)
    rgb = mix(
        paint,
        other,
        np.clip(
            0.5 * smoothstep(-0.2, 0.9, s.nx * np.sign(light.x)) + 0.12 * waves(dx, dy, rng, 9.0, 9.0), 0, 0.7
        ),
    )
    rgb *= (1.0 - 0.22 * smoothstep(0.95, 1.25, waves(dx, dy, rng, 40.0, 40.0, 6)))[..., None]
    rgb = tone(rgb, s.lit(light, 0.35), 0.32)
    rgb += (0.10 * s.gloss(light, 6.0) + 0.42 * s.gloss(light, 34.0))[..., None] * (1.0 - rgb)
    part.paint(np.clip(rgb, 0.0, 1.0), s.alpha, "pear")
    stem = np.maximum(
        np.abs(dx - 0.06 * item.turn + 0.18 * (dy + 1.7) * item.turn) - 0.05, np.abs(dy + 1.90) - 0.26
    )
    part.paint((0.32, 0.21, 0.10), part.cover(stem), "pear")


def paint_cake(canvas: Canvas, item: Item, light: Light) -> None:
    """A layer cake on a plate: sponge, cream, icing that runs down, cherries."""
    h = 0.40 * item.scale
    plate = Turned(item.x, item.y + 0.02 * item.scale, 0.05 * item.scale, ((0.0, 8.0), (1.0, 10.2)))
    if part := window(canvas, *plate.box()):
        s = plate.surface(part)
        part.paint(tone((0.90, 0.90, 0.89), s.lit(light, 0.4), 0.35), s.alpha, "cake")
        top = plate.rim(part, 1.0)
        inside = part.cover(top)
        part.paint(mix((0.95, 0.95, 0.94), (0.80, 0.80, 0.81), smoothstep(-0.14, -0.02, top)), inside, "cake")
        part.shade((0.45, 0.42, 0.42), 0.8 * inside * smoothstep(0.35, -0.15, plate.rim(part, 1.0, 0.80)))
    body = Turned(item.x, item.y - 0.02 * item.scale, h, CAKE)
    box = body.box()
    if (part := window(canvas, box[0], box[1] - 0.35 * h, box[2], box[3])) is None:
        return
    s = body.surface(part)
    t = s.v / h
    rng = np.random.default_rng(item.seed + 13)
    crumb = waves(s.u, s.v, rng, 70.0, 70.0, 5) * (0.05 / np.sqrt(1.0))
    sponge = (0.42, 0.25, 0.15) if item.colour == "brown" else (0.90, 0.70, 0.42)
    cream = np.clip(np.abs(np.abs(t - 0.36) - 0.16) / 0.045, 0.0, 1.0)
    rgb = mix((0.97, 0.93, 0.85), sponge, smoothstep(0.5, 1.0, cream)) * (1.0 + crumb)[..., None]
    part.paint(tone(rgb, s.lit(light, 0.3), 0.34), s.alpha, "cake")
    icing = np.asarray(PAINTS[item.colour], np.float32) * (1.0 if item.colour != "black" else 1.3)
    u = s.u / h
    drip = 0.66 + 0.10 * np.sin(7.0 * u + item.seed % 7) + 0.07 * np.sin(13.0 * u + item.seed % 11)
    run = s.alpha * np.clip(0.5 + (t - drip) * h / part.pixel, 0.0, 1.0)
    part.shade((0.6, 0.5, 0.45), 0.6 * s.alpha * smoothstep(-0.12, 0.0, t - drip))
    lit = tone(icing, s.lit(light, 0.35), 0.36)
    lit += (0.5 * s.gloss(light, 26.0) + 0.18 * smoothstep(0.10, 0.02, np.abs(t - drip - 0.05)))[
        ..., None
    ] * (1 - lit)
    part.paint(np.clip(lit, 0.0, 1.0), run, "cake")
    lid = part.cover(body.rim(part, 1.0))
    r = body.radius(1.0)
    top = 0.95 + 0.14 * blob(part.x, part.y, item.x + 0.5 * r * light.x, body.level(1.0), r, 0.6 * r)
    part.paint(np.clip(icing * top[..., None] + 0.05, 0.0, 1.0), lid, "cake")
    for k in range(7):
        a = 6.2832 * (k + 0.3 * item.turn) / 7.0
        depth = -np.cos(a)
        cx, cy = (
            body.x + 0.74 * r * np.sin(a),
            body.level(1.0) - 0.74 * r * TILT * depth * -1.0 - 0.05 * item.scale,
        )
        _cherry(canvas, cx, cy, 0.062 * item.scale, light, "red" if item.colour != "red" else "white")


def _cherry(canvas: Canvas, x: float, y: float, r: float, light: Light, colour: str) -> None:
    if (part := window(canvas, x - 1.5 * r, y - 1.2 * r, x + 1.5 * r, y + 1.4 * r)) is None:
        return
    part.shade(
        (0.5, 0.42, 0.42), 0.7 * blob(part.x, part.y, x - 0.3 * r * light.x, y + 0.75 * r, 1.1 * r, 0.45 * r)
    )
    s = inflate(part, np.hypot(part.x - x, part.y - y) / r - 1.0, x, y)
    rgb = tone(PAINTS[colour], s.lit(light, 0.3), 0.35)
    rgb += (0.85 * s.gloss(light, 40.0))[..., None] * (1.0 - rgb)
    part.paint(np.clip(rgb, 0.0, 1.0), s.alpha, "cake")


def paint_basket(canvas: Canvas, item: Item, light: Light) -> None:
    """A woven basket with a handle, and apples in it by its degree of fullness."""
    h = 0.46 * item.scale
    body = Turned(item.x, item.y, h, BASKET)
    straw = np.asarray(STRAW.get(item.colour, PAINTS[item.colour]), np.float32)
    r, top = body.radius(1.0), body.level(1.0)
    if (
        part := window(canvas, item.x - 1.05 * r, top - 1.15 * r, item.x + 1.05 * r, item.y + TILT * r)
    ) is None:
        return
    inside = part.cover(body.rim(part, 1.0))
    dx, dy = (part.x - item.x) / r, (part.y - top) / (r * TILT)
    weave = np.sin(26.0 * dx) * np.sin(9.0 * dy)
    shade = np.clip(0.52 - 0.16 * dx * np.sign(light.x) - 0.32 * dy + 0.10 * weave, 0.12, 1.0)
    part.paint(straw * shade[..., None], inside, "basket")
    _handle(part, item, r, top, straw, light)
    _heap(canvas, item, r, top, h, light)
    s = body.surface(part)
    u, v = s.u / r * 11.0 / 1.5, s.v / h * 7.0
    row = np.floor(v)
    over = np.sin(np.pi * (u + row))
    strand = np.clip(1.0 - (2.0 * (v - row) - 1.0) ** 2, 0.0, 1.0)
    bright = 0.50 + 0.38 * strand * (0.62 + 0.38 * over) + 0.16 * over
    rgb = tone(straw * np.clip(bright, 0.2, 1.3)[..., None], s.lit(light, 0.35), 0.34)
    part.paint(np.clip(rgb, 0.0, 1.0), s.alpha, "basket")
    for t, wide in ((0.95, 0.055), (0.04, 0.045)):
        band = s.alpha * smoothstep(wide * h * 1.4, wide * h * 0.9, np.abs(s.v - t * h))
        twist = 0.78 + 0.26 * np.sin(34.0 * s.u / r + 20.0 * s.v / h)
        part.paint(np.clip(tone(straw * twist[..., None], s.lit(light, 0.35), 0.40), 0.0, 1.0), band)


def _handle(part: Canvas, item: Item, r: float, top: float, straw: RGB, light: Light) -> None:
    dx, dy = (part.x - item.x) / (0.93 * r), (part.y - top) / (1.02 * r)
    ring = np.hypot(dx, dy)
    f = np.maximum((np.abs(ring - 1.0) - 0.045) * r, part.y - top)
    twist = 0.80 + 0.22 * np.sin(30.0 * np.arctan2(dy, dx) + 25.0 * ring)
    level = twist * (0.80 + 0.20 * dx * np.sign(light.x)) * (1.0 - 0.35 * smoothstep(0.0, 0.05, ring - 1.0))
    part.paint(np.clip(straw * level[..., None], 0.0, 1.0), part.cover(f), "basket")


def _heap(canvas: Canvas, item: Item, r: float, top: float, h: float, light: Light) -> None:
    """Apples from back to front; a fuller basket holds more of them, and higher."""
    full = item.fullness
    rng = np.random.default_rng(item.seed + 14)
    size = 0.30 * r
    # (place across, place in depth from the back, layer); higher layers need a fuller basket
    places = (
        (0.28, 0.35, 0.0),
        (-0.50, -0.10, 0.22),
        (0.55, -0.25, 0.34),
        (-0.08, -0.45, 0.44),
        (0.05, 0.25, 0.50),
        (-0.45, 0.38, 0.58),
        (0.62, 0.25, 0.64),
        (-0.24, -0.15, 0.74),
        (0.28, -0.12, 0.80),
        (0.02, 0.05, 0.90),
    )
    level = 0.55 * size - 1.15 * size * full
    jitter = rng.uniform(-0.05, 0.05, (len(places), 2))
    order = sorted(range(len(places)), key=lambda k: (places[k][2] > 0.7, places[k][1]))
    for k in order:
        px, depth, start = places[k]
        if full < start:
            continue
        grown = min(1.0, 0.75 + 4.0 * (full - start)) if start else 1.0
        lift = 0.75 * size if start > 0.85 else 0.45 * size if start > 0.7 else 0.0
        x = item.x + (px + jitter[k, 0]) * 0.88 * r
        y = top + (depth + jitter[k, 1]) * TILT * r + level + 0.95 * size - lift
        colour = "green" if (item.seed + k) % 5 == 0 else "red"
        paint_apple(canvas, x, y, size * grown, colour, light, item.seed + k, 0.25 * float(jitter[k, 0]) * 10)
