"""A teddy bear, and flowers."""

from __future__ import annotations

import numpy as np

from ..raster import RGB, Canvas, Field, blob, each, mix, smoothstep
from .materials import PAINTS, tone
from .solids import TILT, Light, inflate, window
from .wares import Item, turned

#: Round parts from the back to the front: (x, y, rx, ry), in units of the bear's height, y up from its seat.
BEAR = (
    ("ear", -0.165, 0.925, 0.085, 0.085),
    ("ear", 0.165, 0.925, 0.085, 0.085),
    ("body", 0.0, 0.30, 0.235, 0.285),
    ("arm", -0.225, 0.375, 0.085, 0.175),
    ("arm", 0.225, 0.375, 0.085, 0.175),
    ("leg", -0.195, 0.085, 0.135, 0.115),
    ("leg", 0.195, 0.085, 0.135, 0.115),
    ("head", 0.0, 0.72, 0.235, 0.215),
)


def _fur(angle: Field, ring: Field, seed: int) -> Field:
    """Tufts in 0..1 that point outwards and to one side, fine tufts over coarse ones."""
    a = 0.37 * (seed % 17)
    bent = angle + 0.16 * np.sin(3.0 * angle + a) + 0.05 * np.sin(7.0 * angle + 3.0 * a) + 0.22 * ring
    coarse = 0.5 + 0.5 * np.sin(17.0 * bent + a)
    tufts = 1.0 - np.abs(np.sin(20.5 * bent + 2.0 * a))
    fine = 1.0 - np.abs(np.sin(44.0 * bent - a))
    return 0.40 * coarse + 0.35 * tufts + 0.25 * fine


def paint_bear(canvas: Canvas, item: Item, light: Light) -> None:
    """A sitting teddy bear; its `fluff` of 0 is velvet, of 1 long hair that stands out on all sides."""
    h = 0.98 * item.scale
    base = np.asarray((0.60, 0.38, 0.20) if item.colour == "brown" else PAINTS[item.colour], np.float32)
    if item.colour == "black":
        base = base * 1.35
    pale = base + 0.42 * (np.asarray((0.98, 0.90, 0.76), np.float32) - base)
    hair, puff = 0.01 + 0.19 * item.fluff, 0.94 + 0.16 * item.fluff
    for number, (name, px, py, rx, ry) in enumerate(BEAR):
        x, y = item.x + px * h, item.y + 0.02 * h - py * h
        reach = puff * (1.0 + hair * min(1.6, 0.16 / rx)) + 0.1 * item.fluff
        part = window(
            canvas,
            x - rx * h * reach * 1.1,
            y - ry * h * reach * 1.1,
            x + rx * h * reach * 1.1,
            y + ry * h * reach * 1.1,
        )
        if part is None:
            continue
        dx, dy = (part.x - x) / (rx * h * puff), (part.y - y) / (ry * h * puff)
        if name == "arm":  # the arms hang outwards
            dx = dx - np.sign(px) * 0.55 * dy
        ring, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
        fur = _fur(angle, ring, item.seed + number)
        long = hair * min(1.6, 0.16 / rx)
        f = ring / (1.0 - 0.12 * long + 1.05 * long * (fur - 0.35)) - 1.0
        s = inflate(part, f, x, y, soft=part.pixel + 0.045 * h * item.fluff)
        part.shade((0.45, 0.40, 0.40), 0.55 * _halo(ring) * part.share("bear"))
        # locks: the same tufts on the part itself, each row shifted against the next
        row = ring * (3.0 + 2.0 * (1.0 - item.fluff)) + 0.5 * fur
        locks = (
            _fur(angle + 0.7 * np.floor(row), ring * 0.5, item.seed + number + 3)
            - 0.5
            + 0.5 * (0.5 - row % 1.0)
        )
        depth = (0.03 + 0.30 * item.fluff) * locks * smoothstep(0.10, 0.6, ring)
        rgb = tone(base, s.lit(light, 0.45), 0.36)
        rgb = rgb * (1.0 + depth)[..., None]
        # light passes through the hair at the edges
        rgb += ((0.08 + 0.50 * item.fluff) * smoothstep(0.70, 1.1, ring) * s.lit(light, 0.8))[..., None] * (
            pale - rgb
        )
        part.paint(np.clip(rgb, 0.0, 1.0), s.alpha, "bear")
        if name == "ear":
            part.paint(pale * 0.82, 0.85 * s.alpha * smoothstep(0.72, 0.5, np.hypot(dx, dy - 0.12)))
        elif name == "leg":
            pad = smoothstep(0.72, 0.58, np.hypot(dx * 1.1, dy + 0.02))
            part.paint(tone(pale, s.lit(light, 0.5), 0.45), 0.92 * s.alpha * pad)
        elif name == "body":
            part.paint(
                tone(pale, s.lit(light, 0.5), 0.42),
                0.55 * s.alpha * smoothstep(0.85, 0.35, np.hypot(dx * 1.15, dy - 0.15)),
            )
        elif name == "head":
            _bear_face(part, dx, dy, pale, item, light, s.alpha)


def _halo(ring: Field) -> Field:
    """The shadow of a part on the parts behind it."""
    return smoothstep(1.45, 0.95, ring)


def _bear_face(
    part: Canvas, dx: Field, dy: Field, pale: RGB, item: Item, light: Light, inside: Field
) -> None:
    snout = np.hypot(dx / 0.46, (dy - 0.36) / 0.36) - 1.0
    s = inflate(part, snout, item.x, 0.0)
    part.shade((0.55, 0.50, 0.48), 0.5 * inside * smoothstep(0.35, 0.0, snout))
    part.paint(tone(pale, s.lit(light, 0.5), 0.46), s.alpha * inside)
    dark = (0.07, 0.05, 0.05)
    part.paint(dark, part.cover(np.hypot(dx / 0.165, (dy - 0.20) / 0.105) - 1.0))
    part.glow(0.55, blob(dx, dy, 0.05 * np.sign(light.x), 0.155, 0.06, 0.035))
    mouth = np.maximum(np.abs(dy - 0.49 + 0.9 * (np.abs(dx) - 0.12) ** 2 * 4.0) - 0.018, np.abs(dx) - 0.22)
    line = np.maximum(np.abs(dx) - 0.016, np.abs(dy - 0.38) - 0.10)
    part.paint(dark, 0.85 * part.cover(np.minimum(mouth, line)))
    for side in (-1.0, 1.0):
        part.paint(
            (0.85, 0.80, 0.74),
            0.35 * part.cover(np.hypot((dx - side * 0.36) / 0.125, (dy + 0.10) / 0.13) - 1.0),
        )
        part.paint(dark, part.cover(np.hypot((dx - side * 0.36) / 0.10, (dy + 0.10) / 0.105) - 1.0))
        part.glow(
            0.95,
            part.cover(
                np.hypot((dx - side * 0.36 - 0.03 * np.sign(light.x)) / 0.034, (dy + 0.14) / 0.034) - 1.0
            ),
        )


def paint_flowers(canvas: Canvas, item: Item, light: Light) -> None:
    """A bunch in a vase: stems and leaves behind, blossoms in front of them."""
    body = turned(item)
    rng = np.random.default_rng(item.seed + 15)
    mx, my, mouth = body.x, body.level(1.0), body.radius(1.0)
    spread = 0.37 * item.scale**0.6
    heads = [
        (mx + spread * (px + 0.10 * float(jx)), my - spread * (py + 0.08 * float(jy)), 0.37 * spread * size)
        for (px, py, size), (jx, jy) in zip(_BUNCH, rng.uniform(-1.0, 1.0, (len(_BUNCH), 2)), strict=True)
    ]
    top = min(y for _, y, _ in heads) - 0.1
    if (
        part := window(canvas, mx - 1.2 * spread - 0.1, top, mx + 1.2 * spread + 0.1, my + TILT * mouth)
    ) is None:
        return
    for index, (x, y, _) in enumerate(heads):
        t = np.clip((my - part.y) / max(my - y, 0.05), 0.0, 1.0)
        bow = mx + 0.5 * mouth * np.sign(x - mx) * min(1.0, abs(x - mx) / spread) + (x - mx) * t**1.5
        stem = np.maximum(np.abs(part.x - bow) - 0.011, np.maximum(y - part.y, part.y - my))
        part.paint((0.22, 0.42, 0.16), part.cover(stem), "flowers")
        lx, ly = part.x - (mx + 0.62 * (x - mx)), part.y - (my + 0.55 * (y - my))
        lean = 0.9 * np.sign(x - mx) + 0.3 * (index % 3 - 1)
        c, s = np.cos(lean), np.sin(lean)
        along, across = lx * s - ly * c, lx * c + ly * s
        leaf = np.hypot((along - 0.02) / 0.12, across / (0.042 * np.clip(1.15 - along * 4.0, 0.3, 1.3))) - 1.0
        rgb = mix(
            (0.16, 0.34, 0.13), (0.42, 0.62, 0.28), smoothstep(0.04, -0.04, across * np.sign(light.x) * -1.0)
        )
        part.paint(rgb, part.cover(leaf), "flowers")
    for index, (x, y, r) in enumerate(heads):
        _blossom(canvas, x, y, r, item.flowers, light, item.seed + index)


#: Blossoms (x, up, size) from back to front, in units of the bunch's spread.
_BUNCH = (
    (-0.30, 1.12, 0.85),
    (0.36, 1.08, 0.85),
    (-0.74, 0.72, 0.85),
    (0.78, 0.66, 0.9),
    (0.04, 0.98, 1.0),
    (-0.42, 0.62, 1.05),
    (0.40, 0.54, 1.05),
    (-0.02, 0.42, 1.1),
)


def _blossom(canvas: Canvas, x: float, y: float, r: float, colour: str, light: Light, seed: int) -> None:
    if (part := window(canvas, x - 1.3 * r, y - 1.3 * r, x + 1.3 * r, y + 1.3 * r)) is None:
        return
    dx, dy = (part.x - x) / r, (part.y - y) / (r * (0.82 + 0.04 * (seed % 4)))
    ring, angle = np.hypot(dx, dy), np.arctan2(dy, dx)
    petals = 6 + seed % 3
    wave = np.abs(np.sin(0.5 * petals * angle + seed % 5))
    f = ring / (0.70 + 0.34 * np.sqrt(wave)) - 1.0
    s = inflate(part, f, x, y, 0.8)
    part.shade(
        (0.45, 0.48, 0.42),
        0.5 * smoothstep(1.5, 0.8, np.hypot(dx + 0.25 * light.x, dy - 0.25)) * part.share("flowers"),
    )
    paint = np.asarray(PAINTS[colour] if colour != "blue" else (0.32, 0.42, 0.86), np.float32)
    level = 0.62 + 0.42 * wave * smoothstep(0.1, 0.7, ring) + 0.22 * (dx * np.sign(light.x) - dy) * 0.6
    rgb = np.clip(paint * np.clip(level, 0.35, 1.25)[..., None], 0.0, 1.0)
    part.paint(rgb, s.alpha, "flowers")
    heart = np.hypot(dx, dy) / 0.26 - 1.0
    middle = (0.88, 0.66, 0.12) if colour != "yellow" else (0.50, 0.26, 0.08)
    part.paint(
        mix(middle, each(lambda c: 0.6 * c, middle), smoothstep(-0.1, 0.25, dy)), part.cover(heart), "flowers"
    )
