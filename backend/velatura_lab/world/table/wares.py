"""Wares: cup, bowl, vase, bottle, ball and cube, in any material."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from ..raster import Canvas, Field, blob, each, smoothstep
from .materials import PAINTS, coat
from .solids import TILT, UPRIGHT, Light, Surface, Turned, cast, inflate, window


@dataclass(frozen=True)
class Item:
    """One thing in its place: the foot's middle (x, y), scale (1 for medium size), colour and material."""

    thing: str
    x: float
    y: float
    scale: float
    colour: str
    material: str
    turn: float
    seed: int
    fluff: float = 0.5
    fullness: float = 0.5
    flowers: str = "none"


CUP = ((0.0, 0.40), (0.04, 0.43), (0.3, 0.50), (0.7, 0.55), (1.0, 0.57))
BOWL = ((0.0, 0.42), (0.08, 0.44), (0.14, 0.50), (0.35, 0.84), (0.65, 1.06), (1.0, 1.18))
VASES = (
    ((0.0, 0.24), (0.06, 0.26), (0.35, 0.40), (0.55, 0.40), (0.80, 0.20), (0.90, 0.17), (1.0, 0.24)),
    ((0.0, 0.20), (0.10, 0.21), (0.55, 0.36), (0.72, 0.36), (0.90, 0.20), (1.0, 0.22)),
    ((0.0, 0.30), (0.25, 0.37), (0.50, 0.32), (0.80, 0.19), (1.0, 0.27)),
)
BOTTLE = (
    (0.0, 0.175),
    (0.05, 0.185),
    (0.52, 0.185),
    (0.62, 0.165),
    (0.73, 0.075),
    (0.92, 0.065),
    (0.94, 0.075),
    (1.0, 0.075),
)
HEIGHTS = {"cup": 0.62, "bowl": 0.40, "vase": 0.68, "bottle": 0.94}


def turned(item: Item) -> Turned:
    shape = {"cup": CUP, "bowl": BOWL, "vase": VASES[item.seed % 3], "bottle": BOTTLE}[item.thing]
    return Turned(item.x, item.y, HEIGHTS[item.thing] * item.scale, shape)


def paint_vessel(canvas: Canvas, item: Item, light: Light) -> None:
    """Cup, bowl, vase or bottle: handle, inside, outside, rim."""
    body = turned(item)
    if item.thing == "cup":
        _handle(canvas, item, body, light)
    if (part := window(canvas, *body.box())) is None:
        return
    lip = body.rim(part, 1.0)
    inside = part.cover(lip)
    glass = item.material == "glass"
    if not glass:
        _hollow(part, item, body, light, lip, inside)
        coat(
            part,
            body.surface(part),
            item.colour,
            item.material,
            light,
            item.thing,
            item.seed,
            0.11 * body.height,
        )
    else:
        surface = body.surface(part)
        whole = np.maximum(surface.alpha, inside)
        coat(part, replace(surface, alpha=whole), item.colour, "glass", light, item.thing, item.seed)
        part.glow(0.10, inside)
    # the rim is a thin ring, bright towards the light; on glass bright all round
    wide = 0.05 if item.thing != "bottle" else 0.16
    ring = part.cover(np.abs(lip + 0.5 * wide) - 0.5 * wide)
    bright = 0.5 + 0.5 * np.clip((part.x - body.x) / body.radius(1.0) * np.sign(light.x), -1.0, 1.0)
    part.glow(0.55 if glass else 0.32, ring * (0.25 + 0.75 * bright))
    if item.thing == "bottle":
        _cork(canvas, body, light)


def _hollow(part: Canvas, item: Item, body: Turned, light: Light, lip: Field, inside: Field) -> None:
    """The inside: lit on the wall opposite the light, dark at the near wall."""
    r = body.radius(1.0)
    dx, dy = (part.x - body.x) / r, (part.y - body.level(1.0)) / (r * TILT)
    nx, nz = -dx, np.clip(-dy * 0.4 + 0.5, 0.0, 1.0)
    hollow = Surface(inside, 0.8 * nx, 0.3 + 0.0 * nx, nz, part.x - body.x, dy * r * 0.5)
    material = "plastic" if item.material == "plastic" else item.material
    coat(part, hollow, item.colour, material, light, item.thing, item.seed + 1)
    deep = 0.75 if item.thing in ("vase", "bottle") else 0.42
    near = smoothstep(-0.9, 1.0, dy + 0.5 * dx * np.sign(light.x))
    part.shade((0.28, 0.25, 0.25), inside * np.clip(deep * (0.45 + 0.75 * near), 0.0, 0.95))


def _handle(canvas: Canvas, item: Item, body: Turned, light: Light) -> None:
    """A ring at the side of a cup; the body covers its inner half."""
    side = 1.0 if item.turn > 0.0 else -1.0
    h = body.height
    cx, cy = body.x + side * 0.56 * h, body.level(0.54) + 0.05 * h
    if (part := window(canvas, cx - 0.45 * h, cy - 0.45 * h, cx + 0.45 * h, cy + 0.45 * h)) is None:
        return
    dx, dy = (part.x - cx) / (0.27 * h), (part.y - cy) / (0.29 * h)
    ring = np.hypot(dx, dy)
    f = np.abs(ring - 1.0) / 0.26 - 1.0
    coat(part, inflate(part, f, cx, cy), item.colour, item.material, light, item.thing, item.seed)


def _cork(canvas: Canvas, body: Turned, light: Light) -> None:
    r = body.radius(0.98) * 0.80
    stub = Turned(body.x, body.level(1.0), 1.9 * r, ((0.0, 0.50), (1.0, 0.55)))
    if (part := window(canvas, *stub.box())) is None:
        return
    coat(part, stub.surface(part), "brown", "wood", light, "bottle", 5)
    top = part.cover(stub.rim(part, 1.0))
    part.paint((0.70, 0.50, 0.32), top, "bottle")


def paint_ball(canvas: Canvas, item: Item, light: Light) -> None:
    r = 0.31 * item.scale
    cx, cy = item.x, item.y - r * 0.86
    if (part := window(canvas, cx - r, cy - r, cx + r, cy + r)) is None:
        return
    f = np.hypot(part.x - cx, part.y - cy) / r - 1.0
    s = inflate(part, f, cx, cy)
    turn = 0.6 * item.turn
    grainy = replace(
        s,
        u=s.u * np.cos(turn) + s.v * np.sin(turn) + 0.25 * r * s.nz,
        v=s.v * np.cos(turn) - s.u * np.sin(turn),
    )
    coat(part, grainy, item.colour, item.material, light, "ball", item.seed)
    if item.material == "plastic":
        # a beach ball's seams: panels of white between panels of colour
        a = item.turn
        px, py = s.nx * np.cos(a) + s.ny * np.sin(a), s.ny * np.cos(a) - s.nx * np.sin(a)
        turnabout = np.arctan2(px, 0.75 * s.nz + 0.65 * py)
        panel = np.abs((turnabout / 1.0472 + 10.25) % 2.0 - 1.0) - 0.5
        edge = part.cover(panel * r)
        other = (0.95, 0.94, 0.91) if item.colour not in ("white",) else (0.78, 0.80, 0.84)
        lit = (0.50 + 0.60 * s.lit(light, 0.55))[..., None] * np.asarray(other, np.float32)
        lit = lit + (0.42 * s.gloss(light, 14.0))[..., None] * (1.0 - lit)
        part.paint(np.clip(lit, 0.0, 1.0), s.alpha * edge * 0.92)


def paint_cube(canvas: Canvas, item: Item, light: Light) -> None:
    """Three faces of a cube, turned a little about its vertical axis."""
    size = 0.50 * item.scale
    turn = 0.45 + 0.22 * item.turn
    c, s = np.cos(turn), np.sin(turn)
    half = 0.5 * size
    # corners of the square on the table: nearest, right, back, left
    foot = [
        (x * c + z * s, x * s - z * c)
        for x, z in ((-half, half), (half, half), (half, -half), (-half, -half))
    ]
    # (x right, d towards the back); picture y = foot - TILT * d
    foot = [(item.x + x, item.y - 0.35 * size * TILT - TILT * d) for x, d in foot]
    order = sorted(range(4), key=lambda k: -foot[k][1])
    near = order[0]
    right, back, left = ((near + 1) % 4, (near + 2) % 4, (near + 3) % 4)
    if foot[right][0] < foot[left][0]:
        right, left = left, right
    rise = size * UPRIGHT
    up = [(x, y - rise) for x, y in foot]
    box = (min(x for x, _ in foot), up[back][1], max(x for x, _ in foot), foot[near][1])
    if (part := window(canvas, *box)) is None:
        return
    faces = (
        ((foot[left], foot[near], up[near], up[left]), (-s, 0.05, c) if c > 0 else (0, 0, 1)),
        ((foot[near], foot[right], up[right], up[near]), (c, 0.05, s)),
        ((up[left], up[near], up[right], up[back]), (0.0, 0.98, 0.2)),
    )
    for index, (corners, normal) in enumerate(faces):
        _face(part, item, light, corners, normal, size, item.seed + index)
    for a, b in ((up[near], foot[near]), (up[left], up[near]), (up[near], up[right])):
        px, py, qx, qy = part.x - a[0], part.y - a[1], b[0] - a[0], b[1] - a[1]
        along = np.clip((px * qx + py * qy) / (qx * qx + qy * qy), 0.0, 1.0)
        distance = np.hypot(px - along * qx, py - along * qy)
        width = 0.014 * item.scale
        part.glow(0.38 if item.material != "wood" else 0.18, np.clip(1.2 - distance / width, 0.0, 1.0) * 0.9)


def _face(
    part: Canvas,
    item: Item,
    light: Light,
    corners: tuple[tuple[float, float], ...],
    normal: tuple[float, float, float],
    size: float,
    seed: int,
) -> None:
    """One face between its corners in the picture, in their order around it."""
    f: Field = np.full_like(part.x, -np.inf)
    middle = np.mean(np.asarray(corners), axis=0)
    for (ax, ay), (bx, by) in zip(corners, corners[1:] + corners[:1], strict=True):
        ex, ey = bx - ax, by - ay
        d = ((part.x - ax) * ey - (part.y - ay) * ex) / np.hypot(ex, ey)
        if (middle[0] - ax) * ey - (middle[1] - ay) * ex > 0.0:
            d = -d
        f = np.maximum(f, d)
    # coordinates on the face along two of its edges
    (ox, oy), (ax, ay), (bx, by) = corners[0], corners[1], corners[3]
    det = (ax - ox) * (by - oy) - (ay - oy) * (bx - ox)
    px, py = part.x - ox, part.y - oy
    u = (px * (by - oy) - py * (bx - ox)) / det
    v = (py * (ax - ox) - px * (ay - oy)) / det
    # a slight bulge, so that reflections and highlights vary over the face
    swell = 0.8 if item.material == "metal" else 0.3
    nx = normal[0] + swell * (u - 0.5 + 0.5 * (v - 0.5)) * (1.0 if normal[1] < 0.5 else 0.35)
    ny = normal[1] + 0.22 * (v - 0.5)
    nz = normal[2] + 0.0 * u
    norm = 1.0 / np.sqrt(nx * nx + ny * ny + nz * nz)
    s = Surface(
        np.clip(0.5 - f / part.pixel, 0.0, 1.0), nx * norm, ny * norm, nz * norm, u * size, v * size, 0.3
    )
    if item.material == "glass":
        s = replace(
            s,
            shine=0.0,
            nz=np.clip(
                0.55 + 0.45 * smoothstep(0.0, 0.16, np.minimum(np.minimum(u, 1 - u), np.minimum(v, 1 - v))),
                0,
                1,
            ),
        )
    coat(part, s, item.colour, item.material, light, "cube", seed)
    border = np.minimum(np.minimum(u, 1.0 - u), np.minimum(v, 1.0 - v))
    if item.material == "plastic":  # each face has a pressed-in panel
        part.shade((0.62, 0.62, 0.66), 0.5 * s.alpha * smoothstep(0.035, 0.0, np.abs(border - 0.15)))
        part.glow(0.35, s.alpha * smoothstep(0.03, 0.0, np.abs(border - 0.195)))
    elif item.material == "metal":  # polished: slanted reflections of the room cross the face
        slant = u + 0.5 * v
        part.shade((0.42, 0.42, 0.45), 0.75 * s.alpha * smoothstep(0.45, 0.0, np.abs(slant - 1.05)))
        part.glow(0.62, s.alpha * smoothstep(0.22, 0.08, np.abs(slant - 0.55)))
    elif item.material == "glass":  # a slanted streak of light
        part.glow(
            0.40, s.alpha * smoothstep(0.10, 0.04, np.abs(u + 0.6 * v - 0.62)) * smoothstep(0.0, 0.1, border)
        )


def shadow_of(canvas: Canvas, item: Item, light: Light) -> None:
    """Cast a thing's shadow on the table."""
    sizes = {
        "apple": (0.21, 0.50),
        "pear": (0.20, 0.66),
        "cup": (0.27, 0.62),
        "bowl": (0.30, 0.34),
        "vase": (0.19, 0.64),
        "ball": (0.17, 0.55),
        "cube": (0.33, 0.46),
        "bear": (0.36, 0.85),
        "cake": (0.42, 0.36),
        "bottle": (0.17, 0.85),
        "basket": (0.36, 0.50),
    }
    radius, height = sizes[item.thing]
    if item.thing == "bowl":
        cast(canvas, light, item.x, item.y - 0.01, 1.7 * radius * item.scale, height * item.scale, 0.55)
    dark = 0.55 if item.material == "glass" else 1.0
    cast(canvas, light, item.x, item.y, radius * item.scale, height * item.scale, dark)
    if item.material == "glass":
        # glass focuses coloured light in the middle of its shadow
        sx, sy = light.slide
        ex, ey = 0.5 * sx * height * item.scale, 0.5 * sy * height * item.scale * TILT
        spot = blob(
            canvas.x,
            canvas.y,
            item.x + ex,
            item.y + ey,
            0.55 * radius * item.scale,
            0.16 * radius * item.scale,
        )
        canvas.paint(each(lambda c: 0.5 + 0.5 * c, PAINTS[item.colour]), 0.45 * spot)
